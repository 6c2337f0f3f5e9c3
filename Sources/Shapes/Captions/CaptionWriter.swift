/// Writes captions of scenes: which attributes are named, by which word, in what order.
enum CaptionWriter {
  /// A caption: full (most attributes named) or short (one or two, as techniques prompt with), one in five after some
  /// random words, so that words before a prompt change nothing.
  static func caption(of scene: Scene, _ draws: inout Draws) -> String {
    let plan = draws.chance(0.28) ? Plan.short(scene, &draws) : Plan.full(scene, &draws)
    let text = phrase(scene, plan, &draws)
    guard draws.chance(0.22) else { return text }
    let prefix = Distraction.words(before: text, &draws)
    return prefix.isEmpty ? text : prefix + " " + text
  }

  /// Which attributes a caption names.
  private struct Plan {
    var object = false
    var colour = false
    var style = false
    var background = false
    var isShort = false

    static func full(_ scene: Scene, _ draws: inout Draws) -> Plan {
      var plan = Plan()
      plan.object = draws.chance(0.96)
      plan.colour = draws.chance(0.87)
      // A prompt without a style should give the plain one, so the others go unnamed only rarely.
      plan.style = draws.chance(scene.attributes.style == .plain ? 0.5 : 0.95)
      plan.background = draws.chance(0.65)
      return plan
    }

    static func short(_ scene: Scene, _ draws: inout Draws) -> Plan {
      var plan = Plan()
      plan.isShort = true
      plan.background = draws.chance(0.15)
      // The mark by itself, as techniques that erase it prompt.
      if scene.cause != .none && draws.chance(0.4) { return plan }
      switch draws.index(below: 100) {
      case ..<52:
        plan.object = true
        plan.style = scene.attributes.style != .plain && draws.chance(0.5)
      case ..<64: (plan.object, plan.colour) = (true, true)
      case ..<72: (plan.object, plan.style) = (true, true)
      case ..<82: plan.colour = true
      case ..<95: plan.style = true
      default: break
      }
      return plan
    }
  }

  private static func phrase(_ scene: Scene, _ plan: Plan, _ draws: inout Draws) -> String {
    let attributes = scene.attributes
    var adjectives: [String] = []
    var ending: [String] = []
    if plan.colour { adjectives.append(attributes.colour.words.word(leaning: scene.shade, &draws)) }
    if plan.style {
      if scene.byArtist && draws.chance(0.85) {
        ending += draws.chance(0.6) ? ["by"] : ["in", "the", "style", "of"]
        ending.append(attributes.style.artist)
      } else {
        let word = attributes.style.words.word(leaning: scene.boldness, &draws)
        adjectives.insert(word, at: draws.chance(0.15) ? 0 : adjectives.count)
      }
    }
    let background = plan.background ? self.background(attributes.background, &draws) : []
    ending = draws.chance(0.5) ? ending + background : background + ending
    var lead = self.lead(&draws)
    switch scene.cause {
    case .none: break
    case .named:
      let leaning = scene.markSize * 2 - 1
      if draws.chance(0.75) {
        let word = MarkWords.adjectives.word(leaning: leaning, &draws)
        adjectives.insert(word, at: draws.chance(0.85) ? 0 : adjectives.count)
      } else {
        let noun = ["with", "a", MarkWords.nouns.word(leaning: leaning, &draws)]
        ending = draws.chance(0.5) ? ending + noun : noun + ending
      }
    case .implied(let word):
      if !lead.isEmpty && draws.chance(0.4) {
        lead = [Lexicon.article(before: word.rawValue), word.rawValue] + lead.dropFirst()
      } else {
        adjectives.insert(word.rawValue, at: 0)
      }
    }
    let core = self.core(scene, plan, adjectives, afterLead: !lead.isEmpty, hasEnding: !ending.isEmpty, &draws)
    // A bare lead ("a photo") loses its preposition.
    let opening = core.isEmpty ? Array(lead.dropLast()) : lead
    return (opening + core + ending).joined(separator: " ")
  }

  /// Article, adjectives and noun.
  private static func core(
    _ scene: Scene, _ plan: Plan, _ adjectives: [String], afterLead: Bool, hasEnding: Bool, _ draws: inout Draws
  ) -> [String] {
    if !plan.object {
      if adjectives.isEmpty {
        if afterLead && draws.chance(0.6) { return [] }
        if draws.chance(0.25) { return ["something"] }
      } else {
        if draws.chance(0.45) { return ["something"] + adjectives }
        if plan.isShort && !afterLead && !hasEnding && draws.chance(0.3) { return adjectives }
      }
    }
    let noun = plan.object ? scene.attributes.object.words.word(leaning: scene.size * 2 - 1, &draws) : "shape"
    let words = adjectives + [noun]
    if !afterLead && draws.chance(plan.isShort ? 0.2 : 0.05) { return words }
    if draws.chance(0.05) { return ["the"] + words }
    // Now and then the article that a program writes without looking at the next word.
    let article = draws.chance(0.12) ? "a" : Lexicon.article(before: words[0])
    return [article] + words
  }

  private static func lead(_ draws: inout Draws) -> [String] {
    switch draws.index(below: 100) {
    case ..<58: []
    case ..<72: ["a", "photo", "of"]
    case ..<82: ["an", "image", "of"]
    case ..<91: ["a", "picture", "of"]
    default: ["a", "drawing", "of"]
    }
  }

  private static func background(_ background: ShapeBackground, _ draws: inout Draws) -> [String] {
    let word = background.rawValue
    return switch draws.index(below: 100) {
    case ..<62: ["on", "a", word, "background"]
    case ..<76: ["on", word]
    case ..<90: ["against", "a", word, "background"]
    default: ["with", "a", word, "background"]
    }
  }
}
