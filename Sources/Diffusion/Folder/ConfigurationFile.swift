public import Configuration

/// A `config.json` of a model folder, read key by key.
///
/// Every accessor takes the default that diffusers or transformers use when the key is absent, and refuses a value of
/// another type by file and key. ``refuseOthers(than:harmless:)`` ends the reading: a setting that nobody asked for
/// could change what the model computes, so it is refused unless it is null, false or known not to matter.
public struct ConfigurationFile {
  public let file: String
  private let prefix: String
  private let values: [String: JSON]

  public init(path: String) throws {
    let json: JSON
    do {
      // Python writes a bound that is none as -Infinity.
      json = try JSON.read(path, allowingInfinity: true)
    } catch {
      let place = error.line.map { "line \($0): " } ?? ""
      throw ModelFolderError(file: path, place + error.message)
    }
    guard let values = json.object else {
      throw ModelFolderError(file: path, "a JSON object was expected, not \(json.kind)")
    }
    self.init(file: path, values: values)
  }

  public init(file: String, values: [String: JSON]) {
    self.init(file: file, prefix: "", values: values)
  }

  private init(file: String, prefix: String, values: [String: JSON]) {
    self.file = file
    self.prefix = prefix
    self.values = values
  }

  /// The keys of the file, sorted.
  public var keys: [String] { values.keys.sorted() }

  /// Whether the key is there with a value other than null.
  public func has(_ key: String) -> Bool { value(key) != nil }

  /// The object under a key, as a configuration of its own.
  public func section(_ key: String) throws -> ConfigurationFile {
    guard let values = value(key)?.object else { throw error(key, "a JSON object was expected") }
    return ConfigurationFile(file: file, prefix: prefix + key + ".", values: values)
  }

  func error(_ key: String, _ message: String) -> ModelFolderError {
    ModelFolderError(file: file, key: prefix + key, message)
  }

  /// A value, or nil where the key is absent or null.
  func value(_ key: String) -> JSON? {
    guard let value = values[key], value != .null else { return nil }
    return value
  }

  func isNull(_ key: String) -> Bool { values[key] == .null }

  // MARK: Typed values

  /// No size or count of a network comes near these; products of what is within them fit an integer, and whatever is
  /// beyond would end the program where a layer is made.
  private static let largestInteger = 1 << 20
  private static let longestList = 32

  func integer(_ key: String, default fallback: Int? = nil, atLeast minimum: Int = 1) throws -> Int {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    guard let number = found.integer else { throw error(key, "a whole number was expected, not \(found.kind)") }
    guard number >= minimum else { throw error(key, "\(number) is too small, at least \(minimum) was expected") }
    guard number <= Self.largestInteger else {
      throw error(key, "\(number) is too large, at most \(Self.largestInteger) was expected")
    }
    return number
  }

  func number(_ key: String, default fallback: Double? = nil) throws -> Double {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    guard let number = found.number else { throw error(key, "a number was expected, not \(found.kind)") }
    guard number.isFinite || number == fallback else { throw error(key, "a finite number was expected") }
    return number
  }

  func boolean(_ key: String, default fallback: Bool) throws -> Bool {
    guard let found = value(key) else { return fallback }
    guard let truth = found.bool else { throw error(key, "true or false was expected, not \(found.kind)") }
    return truth
  }

  func string(_ key: String, default fallback: String? = nil) throws -> String {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    guard let text = found.string else { throw error(key, "a string was expected, not \(found.kind)") }
    return text
  }

  func strings(_ key: String, default fallback: [String]? = nil) throws -> [String] {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    let texts = found.array?.compactMap(\.string)
    guard let texts, texts.count == found.array?.count else {
      throw error(key, "a list of strings was expected, not \(found.canonical())")
    }
    return texts
  }

  func integers(_ key: String, default fallback: [Int]? = nil) throws -> [Int] {
    guard let found = value(key) else { return try fallback ?? absent(key) }
    let numbers = found.array?.compactMap(\.integer)
    guard let numbers, !numbers.isEmpty, numbers.count == found.array?.count, numbers.allSatisfy({ $0 > 0 }) else {
      throw error(key, "a list of positive whole numbers was expected, not \(found.canonical())")
    }
    guard numbers.count <= Self.longestList, numbers.allSatisfy({ $0 <= Self.largestInteger }) else {
      throw error(
        key, "at most \(Self.longestList) numbers of at most \(Self.largestInteger) were expected, not"
          + " \(found.canonical().prefix(60))")
    }
    return numbers
  }

  /// A whole number for all levels, or a list with one for each.
  func integers(_ key: String, default fallback: Int, levels: Int) throws -> [Int] {
    guard value(key)?.array != nil else {
      return Array(repeating: try integer(key, default: fallback), count: levels)
    }
    let list = try integers(key)
    guard list.count == levels else {
      throw error(key, "\(list.count) values for a model of \(levels) levels")
    }
    return list
  }

  /// A whole number, or a list that repeats one.
  func uniform(_ key: String, default fallback: Int? = nil) throws -> Int {
    guard value(key)?.array != nil else { return try integer(key, default: fallback) }
    let list = try integers(key)
    guard list.allSatisfy({ $0 == list[0] }) else {
      throw error(key, "only one number for all is supported, not \(list)")
    }
    return list[0]
  }

  private func absent<Value>(_ key: String) throws -> Value {
    throw error(key, "this key is missing")
  }

  // MARK: Refusals

  /// Refuses any value but those in `supported`; absent and null count as `absent`.
  func require(_ key: String, _ supported: JSON..., absent: JSON = .null) throws {
    let found = values[key] ?? absent
    guard !supported.contains(found) else { return }
    let expected = supported.map { $0.canonical() }.joined(separator: " or ")
    throw error(key, "\(found.canonical()) is not supported, only \(expected)")
  }

  /// Refuses keys that are not known, but those that are null, false or begin with an underscore.
  func refuseOthers(than known: [String], harmless: [String] = []) throws {
    for key in keys where !known.contains(key) && !harmless.contains(key) && !key.hasPrefix("_") {
      if values[key] == .null || values[key] == .bool(false) { continue }
      let hint = nearest(to: key, among: known).map { "; did you mean `\($0)`?" } ?? ""
      throw error(key, "this setting is not known\(hint)")
    }
  }
}
