public import Configuration

/// What the command line says differently from an experiment file. Later ones of these win over earlier ones: the
/// overlays in their order, the assignments, the base model and device.
public struct Overrides: Sendable {
  /// JSON merge patches (RFC 7386) for the file, each with the path of the file it came from.
  public var overlays: [(patch: JSON, file: String)]
  /// A name, or a path with a slash in it.
  public var baseModel: String?
  /// The device of the technique and of every metric.
  public var device: Device?
  /// Seeds instead of the file's.
  public var seeds: [Int]?
  /// The `--set` options in their order.
  public var assignments: [Assignment]

  public init(
    overlays: [(patch: JSON, file: String)] = [], baseModel: String? = nil, device: Device? = nil, seeds: [Int]? = nil,
    assignments: [Assignment] = []
  ) {
    self.overlays = overlays
    self.baseModel = baseModel
    self.device = device
    self.seeds = seeds
    self.assignments = assignments
  }
}

/// One `--set keypath=v[,v...]`: a value, or several that span a grid.
public struct Assignment: Equatable, Sendable {
  public let keyPath: String
  public let values: [JSON]

  public init(_ keyPath: String, _ values: [JSON]) {
    self.keyPath = keyPath
    self.values = values
  }

  /// Parses the text after `--set`.
  ///
  /// Values are separated by commas outside of brackets, braces and quotes. Each is JSON if it reads as JSON, and a
  /// bare word, taken as a string, if not; a list is therefore written `["a","b"]`.
  public init(parsing text: String) throws(ConfigurationError) {
    guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
      throw ConfigurationError("--set takes keypath=value, found \"\(text)\"")
    }
    let keyPath = String(text[..<equals])
    var values: [JSON] = []
    for piece in Self.split(text[text.index(after: equals)...]) {
      values.append(try Self.value(piece, keyPath))
    }
    self.init(keyPath, values)
  }

  private static func value(_ piece: Substring, _ keyPath: String) throws(ConfigurationError) -> JSON {
    let word = String(piece.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    guard let first = word.first else {
      throw ConfigurationError(
        keyPath: keyPath, "--set gives it an empty value; an empty string is written \\\"\\\" in the shell")
    }
    do {
      return try JSON.parse(word, file: "--set")
    } catch {
      if "[{\"".contains(first) {
        throw ConfigurationError(keyPath: keyPath, "--set gives it \(word), which is not JSON: \(error.message)")
      }
      return .string(word)
    }
  }

  private static func split(_ text: Substring) -> [Substring] {
    var pieces: [Substring] = []
    var start = text.startIndex
    var depth = 0
    var isQuoted = false
    var isEscaped = false
    for index in text.indices {
      let character = text[index]
      let atStart = text[start..<index].allSatisfy(\.isWhitespace)
      if isQuoted {
        if isEscaped {
          isEscaped = false
        } else if character == "\\" {
          isEscaped = true
        } else if character == "\"" {
          isQuoted = false
        }
      } else if character == "\"", depth > 0 || atStart {
        // Inside a bare word a quotation mark is a letter like any other.
        isQuoted = true
      } else if "[{".contains(character), depth > 0 || atStart {
        depth += 1
      } else if "]}".contains(character), depth > 0 {
        depth -= 1
      } else if character == ",", depth == 0 {
        pieces.append(text[start..<index])
        start = text.index(after: index)
      }
    }
    return pieces + [text[start...]]
  }
}
