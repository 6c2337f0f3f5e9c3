internal import Attacks
internal import Configuration
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

  /// The rows of a file that takes the place of a search, one for each target: those whose column `prompt` names it, or
  /// where there is no such column the rows in their order.
  ///
  /// - Throws: `CSVError` for a file that cannot be read, `AttackError` where it has no prompt for a target.
  static func read(_ path: String, for targets: [AttackTarget]) throws -> [AttackTarget: AdversarialPrompt] {
    let table = try CSV.read(path, limit: 1_000_000)
    let texts = try table.column("adversarial_prompt")
    var found: [AttackTarget: AdversarialPrompt] = [:]
    if table.header.contains("prompt") {
      let prompts = try table.column("prompt")
      // Of several searches for one prompt each has a repetition of its own.
      let repetitions = table.header.contains("repetition") ? try table.column("repetition") : nil
      func name(_ prompt: String, _ repetition: String) -> [String] { [prompt, repetitions == nil ? "" : repetition] }
      let names = prompts.indices.map { name(prompts[$0], repetitions?[$0] ?? "") }
      let rows = Dictionary(zip(names, texts), uniquingKeysWith: { first, _ in first })
      for target in targets {
        guard let text = rows[name(target.prompt, String(target.repetition))] else {
          throw AttackError("\(path): no row has the prompt \"\(target.prompt)\"")
        }
        found[target] = AdversarialPrompt(text, loss: nil, iterations: 0, outcome: .untested)
      }
    } else {
      guard targets.count <= texts.count else {
        throw AttackError("\(path): \(texts.count) adversarial prompts for the \(targets.count) that are asked for")
      }
      for (target, text) in zip(targets, texts) {
        found[target] = AdversarialPrompt(text, loss: nil, iterations: 0, outcome: .untested)
      }
    }
    return found
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
