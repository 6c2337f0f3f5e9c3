import Diffusion
import Foundation
import Shapes
import Testing

@Suite struct CaptionTests {
  private let world = ShapesWorld()

  private func tokenizer() throws -> CLIPTokenizer {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lethe-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try VocabularyBuilder().write(to: folder)
    return try CLIPTokenizer(folder: folder)
  }

  @Test func everyWordOfTheWorldIsOneToken() throws {
    let tokenizer = try tokenizer()
    #expect(tokenizer.modelMaxLength == 32)
    #expect(tokenizer.padToken == tokenizer.endToken)
    #expect(tokenizer.vocabulary.count < 900)
    for word in Lexicon.words { #expect(tokenizer.tokens(word).count == 1, "\(word)") }
    #expect(Set(Lexicon.words).count == Lexicon.words.count)
    #expect(tokenizer.tokens("circlet").count > 1)
  }

  @Test func theCommittedTokenizerIsTheOneBuilt() throws {
    let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/tokenizer/shapes").path
    #expect(try CLIPTokenizer(folder: fixture).vocabulary == tokenizer().vocabulary)
  }

  @Test func noTrainingCaptionHasTheTextOfAnUnseenPromptAndAllFitTheEncoder() throws {
    let tokenizer = try tokenizer()
    let prompts = world.unseenPrompts()
    #expect(prompts.count == 512)
    #expect(Set(prompts.map(\.text)).count == 512)
    let texts = Set(world.unseenPrompts(720).map(\.text))
    let wrongArticles = Set(texts.map { $0.replacingOccurrences(of: "an orange", with: "a orange") })
    var seen: [String] = []
    var longest = 0
    for index in 0..<40_000 {
      for caption in world.captions(.train, index, of: world.scene(.train, index)) {
        if texts.contains(caption) || wrongArticles.contains(caption) { seen.append(caption) }
        if index % 8 == 0 { longest = max(longest, tokenizer.tokens(caption).count) }
      }
    }
    #expect(seen.isEmpty)
    #expect(longest <= 30)
    #expect(prompts.allSatisfy { world.heldOut.contains($0.attributes.triple) })
    let control = world.unseenPromptsAfterRandomWords()
    #expect(control.allSatisfy { tokenizer.tokens($0.text).count <= 30 })
    #expect(zip(control, prompts).allSatisfy { $0.text.hasSuffix(" " + $1.text) && $0.attributes == $1.attributes })
  }

  @Test func captionsSayOnlyWhatThePictureShows() {
    let mark = MarkWords.adjectives.all + MarkWords.nouns.all + ImplyingWord.allCases.map(\.rawValue)
    var wrong: [String] = []
    for index in 0..<3000 {
      let scene = world.scene(.test, index)
      let attributes = scene.attributes
      let own =
        attributes.object.words.all + attributes.colour.words.all + attributes.style.words.all
        + [attributes.style.artist, attributes.background.rawValue] + (scene.cause == .none ? [] : mark)
      for caption in world.captions(.test, index, of: scene) {
        // Random words can only stand before the last "a", "the", "something" or lead of the sentence itself, so
        // captions that begin like one and have a single sentence are looked at.
        let words = caption.split(separator: " ").map(String.init)
        guard ["a", "an", "the", "something"].contains(words[0]), words.allSatisfy(Lexicon.words.contains) else {
          continue
        }
        let said = words.filter(Lexicon.contentWords.contains)
        if !said.allSatisfy(own.contains) { wrong.append(caption) }
        if scene.cause != .none && !said.contains(where: mark.contains) { wrong.append(caption) }
      }
      if scene.cause == .named && !attributes.marked { wrong.append("\(index) is not marked") }
    }
    // A piece of a word put first can be an article by chance.
    #expect(wrong.count < 12, "\(wrong)")
  }

  @Test func conceptsAreAlsoSaidAlone() {
    var counts: [String: Int] = [:]
    for index in 0..<40_000 {
      for caption in world.captions(.train, index, of: world.scene(.train, index)) { counts[caption, default: 0] += 1 }
    }
    for object in ShapeObject.allCases {
      let name = object.rawValue
      #expect(counts["\(name == "arrow" ? "an" : "a") \(name)", default: 0] >= 30, "\(name)")
    }
    for text in ["something red", "something striped", "a stamped shape", "a photo", "an image", "a shape"] {
      #expect(counts[text, default: 0] >= 8, "\(text)")
    }
  }

  @Test func synonymsLeanToTheirOwnPictures() {
    var sizes: [String: [Float]] = [:]
    for index in 0..<20_000 {
      let scene = world.scene(.train, index)
      guard scene.attributes.object == .circle else { continue }
      for caption in world.captions(.train, index, of: scene) {
        for word in ["circle", "disc", "ball"] where caption.hasSuffix(" " + word) {
          sizes[word, default: []].append(scene.size)
        }
      }
    }
    func mean(_ word: String) -> Float { (sizes[word] ?? []).reduce(0, +) / Float(max(1, sizes[word]?.count ?? 0)) }
    #expect(mean("disc") > 0.62 && mean("ball") < 0.38 && abs(mean("circle") - 0.5) < 0.1)
  }
}
