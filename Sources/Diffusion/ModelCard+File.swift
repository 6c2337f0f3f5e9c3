internal import Configuration
internal import Foundation

/// A `lethe.json` that cannot be used; `description` is one sentence that names file and key.
public struct ModelCardError: Error, Equatable, CustomStringConvertible {
  public let file: String
  /// The place in the file, as in `concepts[2].judge.head`; empty for the whole of it.
  public let key: String
  public let message: String
  public var description: String { key.isEmpty ? "\(file): \(message)" : "\(file): \(key): \(message)" }
}

extension ModelCard {
  /// The card of a model's folder, nil where it has none.
  public static func load(folder: String) throws(ModelCardError) -> ModelCard? {
    let file = (folder as NSString).appendingPathComponent(fileName)
    if isMissing(file) { return nil }
    let bytes: [UInt8]
    do throws(UnreadableFile) {
      bytes = try contents(of: file)
    } catch {
      throw ModelCardError(file: file, key: "", message: error.reason)
    }
    return try decode(bytes, file: file)
  }

  /// Reads and checks a card from its JSON; `file` is the name that an error gives.
  public static func decode(_ json: [UInt8], file: String) throws(ModelCardError) -> ModelCard {
    let data = Data(json)
    do {
      let object = try JSONSerialization.jsonObject(with: data)
      let versions = (object as? [String: Any])?["format"] as? Int
      if let versions, versions != format {
        throw ModelCardError(file: file, key: "format", message: "expected \(format), found \(versions)")
      }
      try refuseUnknownKeys(object, file: file)
      let card = try JSONDecoder().decode(ModelCard.self, from: data)
      try card.validate(file: file)
      return card
    } catch let error as ModelCardError {
      throw error
    } catch let error as DecodingError {
      throw ModelCardError(file: file, decoding: error)
    } catch {
      throw ModelCardError(file: file, key: "", message: "is not valid JSON")
    }
  }

  /// Writes the card into a model's folder: keys sorted, one line for each prompt, the same bytes for the same card.
  ///
  /// - Throws: ``ModelCardError`` for a card that is not valid, `FileError` for a file that cannot be written.
  public func write(folder: String) throws {
    let file = (folder as NSString).appendingPathComponent(Self.fileName)
    try validate(file: file)
    let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(self))
    try WholeFile.write(Self.printed(object, indent: "") + "\n", to: file)
  }

  /// JSON with whatever fits a line on one line, so that hundreds of prompts stay readable.
  private static func printed(_ value: Any, indent: String) throws -> String {
    let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed]
    let line = try String(decoding: JSONSerialization.data(withJSONObject: value, options: options), as: UTF8.self)
    if line.utf8.count + indent.utf8.count <= 140 { return line }
    let inner = indent + "  "
    if let list = value as? [Any] {
      let items = try list.map { try inner + printed($0, indent: inner) }
      return "[\n" + items.joined(separator: ",\n") + "\n\(indent)]"
    }
    if let object = value as? [String: Any] {
      let items = try object.sorted { $0.key < $1.key }.map { key, value in
        try inner + printed(key, indent: "") + ": " + printed(value, indent: inner)
      }
      return "{\n" + items.joined(separator: ",\n") + "\n\(indent)}"
    }
    return line
  }

  /// What the types cannot say: names used once, judges and concepts that exist, numbers in range.
  func validate(file: String) throws(ModelCardError) {
    func refuse(_ key: String, _ message: String) -> ModelCardError {
      ModelCardError(file: file, key: key, message: message)
    }
    guard format == Self.format else { throw refuse("format", "expected \(Self.format), found \(format)") }
    guard sampler.steps >= 1 else { throw refuse("sampler.steps", "expected at least 1, found \(sampler.steps)") }
    guard sampler.guidanceScale >= 0, sampler.guidanceScale.isFinite else {
      throw refuse("sampler.guidance_scale", "expected a number of at least 0, found \(sampler.guidanceScale)")
    }
    for (judge, folder) in judges.sorted(by: { $0.key < $1.key }) where Self.leadsOutside(folder) {
      throw refuse("judges.\(judge)", "expected a folder below the model's, found \"\(folder)\"")
    }
    for (layer, path) in (sparseAutoencoders ?? [:]).sorted(by: { $0.key < $1.key }) where Self.leadsOutside(path) {
      throw refuse("sparse_autoencoders.\(layer)", "expected a file below the model's folder, found \"\(path)\"")
    }
    let names = concepts.map(\.name)
    let declared = Set(names)
    var seen: Set<String> = []
    for (index, concept) in concepts.enumerated() {
      let key = "concepts[\(index)]"
      if concept.name.isEmpty { throw refuse("\(key).name", "expected a name, found an empty string") }
      if !seen.insert(concept.name).inserted { throw refuse("\(key).name", "\"\(concept.name)\" is declared twice") }
      if judges[concept.judge.judge] == nil {
        let known = judges.keys.sorted().joined(separator: ", ")
        throw refuse("\(key).judge.judge", "\"\(concept.judge.judge)\" is not one of the card's judges (\(known))")
      }
      if concept.judge.classIndex < 0 {
        throw refuse("\(key).judge.class", "expected at least 0, found \(concept.judge.classIndex)")
      }
      let sets = [
        ("prompts", concept.prompts), ("synonym_prompts", concept.synonymPrompts),
        ("implied_prompts", concept.impliedPrompts),
      ]
      for (set, prompts) in sets { try check(prompts, declared, at: "\(key).\(set)", refuse) }
    }
    for (set, prompts) in promptSets.sorted(by: { $0.key < $1.key }) {
      try check(prompts, declared, at: "prompt_sets.\(set)", refuse)
    }
  }

  /// A card must not reach outside its model's folder.
  private static func leadsOutside(_ path: String) -> Bool {
    path.isEmpty || path.hasPrefix("/") || path.split(separator: "/").contains("..")
  }

  private func check(
    _ prompts: [Prompt], _ declared: Set<String>, at key: String, _ refuse: (String, String) -> ModelCardError
  ) throws(ModelCardError) {
    for (index, prompt) in prompts.enumerated() {
      for concept in prompt.concepts where !declared.contains(concept) {
        throw refuse("\(key)[\(index)].concepts", "\"\(concept)\" is not a concept of the card")
      }
    }
  }

  /// `Codable` drops keys that it does not know; here they are refused, with the keys that there are.
  private static func refuseUnknownKeys(_ value: Any, file: String) throws(ModelCardError) {
    func check(_ value: Any?, _ allowed: [String], _ key: String) throws(ModelCardError) {
      guard let object = value as? [String: Any] else { return }
      for found in object.keys.sorted() where !allowed.contains(found) {
        throw ModelCardError(
          file: file, key: key.isEmpty ? found : "\(key).\(found)",
          message: "unknown key; here there may be \(allowed.sorted().joined(separator: ", "))")
      }
    }
    func checkPrompts(_ value: Any?, _ key: String) throws(ModelCardError) {
      for (index, prompt) in (value as? [Any] ?? []).enumerated() {
        try check(prompt, Prompt.CodingKeys.allCases.map(\.rawValue), "\(key)[\(index)]")
      }
    }
    try check(value, CodingKeys.allCases.map(\.rawValue), "")
    let card = value as? [String: Any] ?? [:]
    try check(card["sampler"], Sampler.CodingKeys.allCases.map(\.rawValue), "sampler")
    for (index, concept) in (card["concepts"] as? [Any] ?? []).enumerated() {
      let key = "concepts[\(index)]"
      try check(concept, Concept.CodingKeys.allCases.map(\.rawValue), key)
      let object = concept as? [String: Any] ?? [:]
      try check(object["judge"], JudgeClass.CodingKeys.allCases.map(\.rawValue), "\(key).judge")
      for set in ["prompts", "synonym_prompts", "implied_prompts"] { try checkPrompts(object[set], "\(key).\(set)") }
    }
    for (name, set) in (card["prompt_sets"] as? [String: Any] ?? [:]).sorted(by: { $0.key < $1.key }) {
      try checkPrompts(set, "prompt_sets.\(name)")
    }
  }
}

extension ModelCardError {
  fileprivate init(file: String, decoding error: DecodingError) {
    func place(_ path: [any CodingKey], _ last: (any CodingKey)? = nil) -> String {
      (path + (last.map { [$0] } ?? [])).reduce(into: "") { text, key in
        if let index = key.intValue {
          text += "[\(index)]"
        } else {
          text += text.isEmpty ? key.stringValue : "." + key.stringValue
        }
      }
    }
    func name(_ type: Any.Type) -> String {
      switch type {
      case is String.Type: "a string"
      case is Int.Type: "an integer"
      case is Double.Type: "a number"
      case is Bool.Type: "true or false"
      default: "\(type)".hasPrefix("Array") ? "a list" : "an object"
      }
    }
    self.file = file
    switch error {
    case .keyNotFound(let missing, let context):
      key = place(context.codingPath, missing)
      message = "is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      key = place(context.codingPath)
      message = "expected \(name(type))"
    case .dataCorrupted(let context):
      key = place(context.codingPath)
      message = context.codingPath.isEmpty ? "is not valid JSON" : "has a value out of range"
    @unknown default:
      key = ""
      message = "cannot be read"
    }
  }
}
