internal import Attacks
internal import Configuration
internal import Diffusion
internal import Store

/// The adversarial prompts of one attack, as records keep them: a CSV file with a row for each prompt attacked.
struct AdversarialPrompts {
  /// The columns of the file, in order; `adversarial_prompt` alone is what other tools read.
  static let columns = [
    "adversarial_prompt", "prompt", "concept", "seed", "repetition", "loss", "iterations", "outcome",
  ]

  /// In the order in which the metrics asked.
  let targets: [AttackTarget]
  let found: [AttackTarget: AdversarialPrompt]

  var csv: String {
    CSV.text(
      [Self.columns]
        + targets.map { target in
          guard let prompt = found[target] else { preconditionFailure("a prompt that was attacked has no result") }
          return [
            prompt.text, target.prompt, target.concept, String(target.seed), String(target.repetition),
            prompt.loss.map { "\($0)" } ?? "", String(prompt.iterations), prompt.outcome.rawValue,
          ]
        })
  }

  /// How many searches ended in which way, and the work they were.
  func summary(of targets: [AttackTarget]) -> JSON {
    let prompts = targets.compactMap { found[$0] }
    var json: [String: JSON] = [
      "prompts": .integer(prompts.count), "iterations": .integer(prompts.reduce(0) { $0 + $1.iterations }),
    ]
    for outcome in AdversarialPrompt.Outcome.allCases {
      json[outcome.rawValue] = .integer(prompts.count { $0.outcome == outcome })
    }
    return .object(json)
  }

  /// The columns that say which search of an experiment a row is of.
  private static let identifying = ["prompt", "concept", "repetition"]

  /// The rows of a file that takes the place of a search, one for each target: those whose columns `prompt`, `concept`
  /// and `repetition`, so far as the file has them, are the target's; where there is no column `prompt` the rows in
  /// their order. Seeds need not agree: prompts may be tried with other noise than they were found with.
  ///
  /// - Throws: `CSVError` for a file that cannot be read, `AttackError` where it has no prompt for a target, several,
  ///   or one that is empty or that the text encoder would cut.
  static func read(
    _ path: String, for targets: [AttackTarget], _ tokenizer: CLIPTokenizer
  ) throws -> [AttackTarget: AdversarialPrompt] {
    let table = try CSV.read(path, limit: 1_000_000)
    let prompts = try prompts(of: table, tokenizer)
    var found: [AttackTarget: AdversarialPrompt] = [:]
    guard table.header.contains("prompt") else {
      guard targets.count <= prompts.count else {
        throw AttackError("\(path): \(prompts.count) adversarial prompts for the \(targets.count) that are asked for")
      }
      for (target, prompt) in zip(targets, prompts) { found[target] = prompt }
      return found
    }
    let columns = identifying.filter { table.header.contains($0) }
    let texts = try columns.map { try table.column($0) }
    var rows: [[String]: Int] = [:]
    for row in prompts.indices {
      let name = texts.map { $0[row] }
      if let before = rows.updateValue(row, forKey: name) {
        throw AttackError(
          "\(path):\(table.lines[row]): line \(table.lines[before]) has a row of the same \(listed(columns)) already")
      }
    }
    for target in targets {
      let own = [
        "prompt": target.prompt, "concept": target.concept, "repetition": String(target.repetition),
      ]
      guard let row = rows[columns.compactMap { own[$0] }] else {
        let others = columns.dropFirst().compactMap { key in own[key].map { "\(key) \($0)" } }
        throw AttackError(
          "\(path): no row has the prompt \"\(target.prompt)\""
            + (others.isEmpty ? "" : " with \(listed(others))"))
      }
      found[target] = prompts[row]
    }
    return found
  }

  private static func listed(_ words: [String]) -> String {
    words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " and " + (words.last ?? "")
  }

  /// What each row says was found. Whether a prompt needed no attack is told by the file alone; how other searches
  /// ended was seen on another model.
  private static func prompts(of table: CSV, _ tokenizer: CLIPTokenizer) throws -> [AdversarialPrompt] {
    let texts = try table.column("adversarial_prompt")
    let originals = table.header.contains("prompt") ? try table.column("prompt") : nil
    return try texts.indices.map { row in
      let (text, place) = (texts[row], "\(table.file):\(table.lines[row])")
      if text.allSatisfy(\.isWhitespace) { throw AttackError("\(place): the adversarial prompt is empty") }
      if tokenizer.isTruncated(text) {
        throw AttackError(
          "\(place): the adversarial prompt has \(tokenizer.tokens(text).count) tokens, and the text encoder reads "
            + "\(tokenizer.modelMaxLength - 2)")
      }
      return AdversarialPrompt(
        text, loss: nil, iterations: 0, outcome: text == originals?[row] ? .beforeAttack : .untested)
    }
  }

  // MARK: One prompt, as the cache keeps it

  private static let format = "lethe adversarial prompt 1"

  static func json(_ prompt: AdversarialPrompt) -> JSON {
    [
      "format": .string(format), "text": .string(prompt.text), "loss": prompt.loss.map { .number($0) } ?? .null,
      "iterations": .integer(prompt.iterations), "outcome": .string(prompt.outcome.rawValue),
    ]
  }

  /// - Throws: `StoreError`, also if the object holds anything else.
  static func read(_ digest: Digest, from objects: ObjectStore) throws(StoreError) -> AdversarialPrompt {
    let bytes = try objects.read(digest)
    guard let json = try? JSON.parse(bytes, file: "object \(digest)"), json["format"]?.string == format,
      let text = json["text"]?.string, let iterations = json["iterations"]?.integer,
      let outcome = json["outcome"]?.string.flatMap(AdversarialPrompt.Outcome.init(rawValue:))
    else { throw StoreError(.damagedEntry, "object \(digest) is not an adversarial prompt") }
    return AdversarialPrompt(text, loss: json["loss"]?.number, iterations: iterations, outcome: outcome)
  }
}
