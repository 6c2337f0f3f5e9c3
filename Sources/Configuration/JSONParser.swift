/// Text that is not JSON, or a file of it that cannot be read.
public struct JSONError: Error, Equatable, CustomStringConvertible {
  /// The name the text was given by its reader, usually a path.
  public let file: String
  /// Where the text stops making sense, counted from 1; columns count Unicode scalars. Absent when there is no text.
  public let line: Int?
  public let column: Int?
  /// One sentence without its subject's place.
  public let message: String

  public var description: String {
    guard let line, let column else { return "\(file): \(message)" }
    return "\(file):\(line):\(column): \(message)"
  }
}

extension JSON {
  /// Parses one JSON value that fills the whole text.
  ///
  /// Strict RFC 8259: no comments, no trailing commas, no `NaN`, no unpaired surrogates, valid UTF-8. A key that
  /// appears twice in one object is refused too, because readers disagree on which of the two counts. A number that is
  /// whole and within ±2⁵³ becomes `.integer` however it is spelled; every other number becomes the nearest double.
  ///
  /// - Parameters:
  ///   - text: UTF-8 bytes (`Data`, `[UInt8]`, a string's `utf8` …).
  ///   - file: what errors call the text.
  ///   - allowingInfinity: whether `Infinity` and `-Infinity` are numbers, as Python writes them.
  public static func parse(
    _ text: some Collection<UInt8>, file: String, allowingInfinity: Bool = false
  ) throws(JSONError) -> JSON {
    var parser = JSONParser(bytes: Array(text), file: file, allowsInfinity: allowingInfinity)
    return try parser.parseDocument()
  }

  /// Parses one JSON value that fills the whole text; see `parse(_:file:)` for bytes.
  public static func parse(_ text: String, file: String) throws(JSONError) -> JSON {
    try parse(text.utf8, file: file)
  }
}

/// A recursive-descent parser over bytes; every structural character of JSON is ASCII.
private struct JSONParser {
  let bytes: [UInt8]
  let file: String
  let allowsInfinity: Bool
  var position = 0
  var depth = 0

  /// Deeper nesting than any record has, and far less than the stack holds.
  static let deepest = 256

  init(bytes: [UInt8], file: String, allowsInfinity: Bool) {
    self.bytes = bytes
    self.file = file
    self.allowsInfinity = allowsInfinity
  }

  mutating func parseDocument() throws(JSONError) -> JSON {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      throw error("the text starts with a byte order mark; save it as plain UTF-8")
    }
    skipSpace()
    if position == bytes.count { throw error("the text is empty where a JSON value was expected") }
    let value = try parseValue()
    skipSpace()
    if position < bytes.count { throw error("unexpected \(found) after the end of the JSON value") }
    return value
  }

  private mutating func parseValue() throws(JSONError) -> JSON {
    guard position < bytes.count else { throw error("the text ends where a value was expected") }
    if allowsInfinity {
      for (word, value) in [("Infinity", Double.infinity), ("-Infinity", -Double.infinity)]
      where bytes[position...].starts(with: word.utf8) {
        position += word.utf8.count
        return .number(value)
      }
    }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try nested { parser throws(JSONError) in try parser.parseObject() }
    case UInt8(ascii: "["): return try nested { parser throws(JSONError) in try parser.parseArray() }
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
    default:
      for (word, value) in [("true", JSON.bool(true)), ("false", .bool(false)), ("null", .null)]
      where bytes[position...].starts(with: word.utf8) {
        position += word.utf8.count
        return value
      }
      throw error("expected a value, found \(found)")
    }
  }

  private mutating func nested(
    _ parse: (inout JSONParser) throws(JSONError) -> JSON
  ) throws(JSONError) -> JSON {
    guard depth < Self.deepest else { throw error("nested more than \(Self.deepest) levels deep") }
    depth += 1
    defer { depth -= 1 }
    return try parse(&self)
  }

  private mutating func parseObject() throws(JSONError) -> JSON {
    var members: [String: JSON] = [:]
    position += 1
    skipSpace()
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      let start = position
      guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
        throw error("expected a key in double quotes, found \(found)")
      }
      let key = try parseString()
      if members[key] != nil { throw error("the key \"\(key)\" appears twice in one object", at: start) }
      skipSpace()
      guard take(":") else { throw error("expected \":\" after the key \"\(key)\", found \(found)") }
      skipSpace()
      members[key] = try parseValue()
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw error("expected \",\" or \"}\" in an object, found \(found)") }
    }
  }

  private mutating func parseArray() throws(JSONError) -> JSON {
    var elements: [JSON] = []
    position += 1
    skipSpace()
    if take("]") { return .array(elements) }
    while true {
      skipSpace()
      elements.append(try parseValue())
      skipSpace()
      if take("]") { return .array(elements) }
      guard take(",") else { throw error("expected \",\" or \"]\" in a list, found \(found)") }
    }
  }

  private mutating func parseString() throws(JSONError) -> String {
    let start = position
    var text: [UInt8] = []
    position += 1
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw error("this string is not valid UTF-8", at: start)
        }
        position += 1
        return string
      case UInt8(ascii: "\\"):
        text += Array(String(Character(try parseEscape())).utf8)
      case 0..<0x20:
        throw error("a string holds an unescaped control character (\(found))")
      default:
        text.append(byte)
        position += 1
      }
    }
    throw error("this string is not closed before the text ends", at: start)
  }

  private mutating func parseEscape() throws(JSONError) -> Unicode.Scalar {
    let start = position
    position += 1
    guard position < bytes.count else { throw error("the text ends inside a string") }
    let letter = bytes[position]
    position += 1
    switch letter {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let unit = try parseHexadecimal(escapeAt: start)
      if let scalar = Unicode.Scalar(unit) { return scalar }
      guard UTF16.isLeadSurrogate(unit), take("\\"), take("u") else {
        throw error("a \\u escape holds half of a surrogate pair", at: start)
      }
      let second = try parseHexadecimal(escapeAt: start)
      guard UTF16.isTrailSurrogate(second) else {
        throw error("a \\u escape holds half of a surrogate pair", at: start)
      }
      return UTF16.decode(UTF16.EncodedScalar([unit, second]))
    default:
      throw error("unknown escape in a string; write a backslash itself as \\\\", at: start)
    }
  }

  private mutating func parseHexadecimal(escapeAt start: Int) throws(JSONError) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
        throw error("a \\u escape takes four hexadecimal digits", at: start)
      }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }

  private mutating func parseNumber() throws(JSONError) -> JSON {
    let start = position
    _ = take("-")
    if take("0") {
      if let byte = peek, isDigit(byte) { throw error("a number may not start with 0", at: start) }
    } else {
      try parseDigits(from: start)
    }
    if take(".") { try parseDigits(from: start) }
    if take("e") || take("E") {
      _ = take("+") || take("-")
      try parseDigits(from: start)
    }
    let spelling = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Double(spelling), value.isFinite else {
      throw error("the number \(spelling) is too large", at: start)
    }
    // Beyond 2⁵³ a reader that keeps doubles, as RFC 8785 does, no longer tells neighbouring integers apart.
    if let integer = Int(exactly: value), integer.magnitude <= 1 << 53 { return .integer(integer) }
    return .number(value)
  }

  private mutating func parseDigits(from start: Int) throws(JSONError) {
    guard let first = peek, isDigit(first) else { throw error("expected a digit, found \(found)") }
    while let byte = peek, isDigit(byte) { position += 1 }
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// What stands at the current position, in words.
  private var found: String {
    guard let byte = peek else { return "the end of the text" }
    if byte < 0x20 || byte == 0x7F { return "the control character \(byte)" }
    // From here the longest scalar is four bytes; decoding repairs what is not UTF-8.
    let scalar = String(decoding: bytes[position..<min(position + 4, bytes.count)], as: UTF8.self).unicodeScalars.first
    return scalar.map { "\"\($0)\"" } ?? "the end of the text"
  }

  private func error(_ message: String, at place: Int? = nil) -> JSONError {
    let before = bytes[..<(place ?? position)]
    let line = before.count { $0 == 0x0A } + 1
    let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
    let column = String(decoding: before[lineStart...], as: UTF8.self).unicodeScalars.count + 1
    return JSONError(file: file, line: line, column: column, message: message)
  }
}
