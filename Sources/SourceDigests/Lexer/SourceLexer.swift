/// The language of a source file, as far as comments, literals and white space go.
public enum SourceLanguage: Sendable {
  case swift
  case c

  /// By the file's ending; nil for what is no source.
  public init?(fileName: String) {
    if fileName.hasSuffix(".swift") {
      self = .swift
    } else if fileName.hasSuffix(".c") || fileName.hasSuffix(".h") {
      self = .c
    } else {
      return nil
    }
  }
}

/// Cuts a source into tokens, dropping comments and remembering where white space stood.
///
/// It knows just enough of both languages to tell code from comments and literals: nested comments, raw, multi-line and
/// interpolated strings and regular expressions in Swift; character constants, directives and continued lines in C.
/// Source that does not compile gives some tokens or other, never a trap.
struct SourceLexer {
  struct Token: Equatable {
    enum Kind {
      /// Names, keywords and numbers: two of them in a row need something between them.
      case word
      /// A run of operator characters, whose meaning in Swift depends on the white space around it.
      case sign
      /// A bracket, comma and the like.
      case mark
      /// A string, character or regular expression, kept as it is written.
      case literal
    }
    var kind: Kind
    var text: [UInt8]
    /// Whether white space or a comment stood before it.
    var isSpaced: Bool
    /// Whether a line ended there.
    var isOnNewLine: Bool
    /// Whether it belongs to a preprocessor directive of C.
    var isInDirective: Bool
  }

  private let source: [UInt8]
  private let language: SourceLanguage
  private var position = 0
  private var tokens: [Token] = []
  private var isSpaced = false
  private var isOnNewLine = true
  private var isInDirective = false

  init(_ source: [UInt8], _ language: SourceLanguage) {
    self.source = source
    self.language = language
  }

  mutating func run() -> [Token] {
    while let byte = peek() {
      if isWhiteSpace(byte) {
        if byte == newline { endLine() }
        isSpaced = true
        position += 1
      } else if byte == backslash, language == .c, peek(1) == newline {
        // A continued line: the directive goes on.
        isSpaced = true
        position += 2
      } else if byte == slash, peek(1) == slash {
        skipLineComment()
      } else if byte == slash, peek(1) == star {
        skipBlockComment()
      } else {
        takeToken(byte)
      }
    }
    return tokens
  }

  private mutating func endLine() {
    isOnNewLine = true
    isInDirective = false
  }

  private func peek(_ offset: Int = 0) -> UInt8? {
    position + offset < source.count ? source[position + offset] : nil
  }

  // MARK: Comments

  private mutating func skipLineComment() {
    while let byte = peek(), byte != newline {
      // In C even a line comment can be continued.
      if language == .c, byte == backslash, peek(1) == newline { position += 1 }
      position += 1
    }
    isSpaced = true
  }

  private mutating func skipBlockComment() {
    var depth = 0
    while let byte = peek() {
      if byte == slash, peek(1) == star, depth == 0 || language == .swift {
        depth += 1
        position += 2
      } else if byte == star, peek(1) == slash {
        depth -= 1
        position += 2
        if depth == 0 { break }
      } else {
        if byte == newline, language == .swift { isOnNewLine = true }
        position += 1
      }
    }
    isSpaced = true
  }

  // MARK: Tokens

  private mutating func takeToken(_ byte: UInt8) {
    let start = position
    let kind: Token.Kind
    if isWordPart(byte) {
      while let next = peek(), isWordPart(next) { position += 1 }
      // `1e-5` and `0x1p-3` are one number: the sign in them is no operator.
      takeExponent(from: start)
      kind = .word
    } else if let end = literalEnd() {
      position = end
      kind = .literal
    } else if isSign(byte) {
      while let next = peek(), isSign(next), !startsComment() { position += 1 }
      kind = .sign
    } else {
      if byte == hash, language == .c, isOnNewLine || tokens.isEmpty { isInDirective = true }
      position += 1
      kind = .mark
    }
    var text = Array(source[start..<position])
    if kind == .literal, language == .swift { text = withoutIndentation(text) }
    // A single point is punctuation: `value.name` may be broken before it.
    let isPoint = kind == .sign && text == [point]
    tokens.append(
      Token(
        kind: isPoint ? .mark : kind, text: text, isSpaced: isSpaced, isOnNewLine: isOnNewLine,
        isInDirective: isInDirective))
    isSpaced = false
    isOnNewLine = false
  }

  private func startsComment() -> Bool {
    peek() == slash && (peek(1) == slash || peek(1) == star)
  }

  private mutating func takeExponent(from start: Int) {
    guard (48...57).contains(source[start]), let sign = peek(), sign == 43 || sign == 45, let digit = peek(1),
      (48...57).contains(digit)
    else { return }
    let isHexadecimal = start + 1 < source.count && (source[start + 1] | 32) == 120
    guard (source[position - 1] | 32) == (isHexadecimal ? 112 : 101) else { return }
    position += 1
    while let next = peek(), isWordPart(next) { position += 1 }
  }

  // MARK: Literals

  /// The end of the literal that starts here; nil if none does.
  private func literalEnd() -> Int? {
    guard let byte = peek() else { return nil }
    switch language {
    case .c:
      return byte == quote || byte == apostrophe ? end(ofQuoted: byte) : nil
    case .swift:
      var hashes = 0
      while peek(hashes) == hash { hashes += 1 }
      if peek(hashes) == quote { return swiftStringEnd(at: position) }
      if peek(hashes) == slash, hashes > 0 { return regexEnd(from: position + hashes + 1, hashes: hashes) }
      if byte == slash, mayBeginRegex() { return regexEnd(from: position + 1, hashes: 0) }
      return nil
    }
  }

  private func end(ofQuoted mark: UInt8) -> Int {
    var index = position + 1
    while index < source.count, source[index] != mark, source[index] != newline {
      index += source[index] == backslash ? 2 : 1
    }
    return min(index + 1, source.count)
  }

  /// The end of a Swift string, which may hold interpolations that hold strings.
  private func swiftStringEnd(at start: Int) -> Int {
    var index = start
    var hashes = 0
    while index < source.count, source[index] == hash {
      hashes += 1
      index += 1
    }
    let isMultiLine = isQuotes(at: index, 3)
    let width = isMultiLine ? 3 : 1
    index += width
    while index < source.count {
      let byte = source[index]
      if byte == quote, isQuotes(at: index, width), isHashes(at: index + width, hashes) {
        return index + width + hashes
      } else if byte == backslash, isHashes(at: index + 1, hashes) {
        index += 1 + hashes
        guard index < source.count else { break }
        index = source[index] == openParenthesis ? interpolationEnd(at: index) : index + 1
      } else if byte == newline, !isMultiLine {
        return index
      } else {
        index += 1
      }
    }
    return source.count
  }

  /// The position after the parenthesis that closes the interpolation opened at `start`.
  private func interpolationEnd(at start: Int) -> Int {
    var index = start
    var depth = 0
    while index < source.count {
      let byte = source[index]
      if byte == quote || (byte == hash && startsRawString(at: index)) {
        index = swiftStringEnd(at: index)
        continue
      }
      if byte == openParenthesis { depth += 1 }
      if byte == closeParenthesis {
        depth -= 1
        if depth == 0 { return index + 1 }
      }
      index += 1
    }
    return source.count
  }

  private func startsRawString(at start: Int) -> Bool {
    var index = start
    while index < source.count, source[index] == hash { index += 1 }
    return index < source.count && source[index] == quote
  }

  private func isQuotes(at index: Int, _ count: Int) -> Bool {
    index + count <= source.count && source[index..<index + count].allSatisfy { $0 == quote }
  }

  private func isHashes(at index: Int, _ count: Int) -> Bool {
    index + count <= source.count && source[index..<index + count].allSatisfy { $0 == hash }
  }

  /// Whether a slash here can begin a regular expression: not after a value, which it would divide.
  private func mayBeginRegex() -> Bool {
    guard let next = peek(1), !isWhiteSpace(next), next != slash, next != star else { return false }
    guard let last = tokens.last else { return true }
    switch last.kind {
    case .word, .literal: return false
    case .sign: return isSpaced
    case .mark: return [openParenthesis, 91, 123, 44, 58, 59].contains(last.text[0])
    }
  }

  /// The end of a regular expression; nil if the line (or, between hashes, the file) ends first.
  private func regexEnd(from start: Int, hashes: Int) -> Int? {
    var index = start
    while index < source.count {
      if source[index] == newline, hashes == 0 { return nil }
      if source[index] == slash, isHashes(at: index + 1, hashes) { return index + 1 + hashes }
      index += source[index] == backslash ? 2 : 1
    }
    return nil
  }

  /// A multi-line string without the indentation that Swift takes away, so that indenting code leaves it as it was.
  private func withoutIndentation(_ literal: [UInt8]) -> [UInt8] {
    let lines = literal.split(separator: newline, omittingEmptySubsequences: false)
    guard lines.count > 1, let last = lines.last else { return literal }
    let indentation = last.prefix { $0 == 32 || $0 == 9 }
    guard last.dropFirst(indentation.count).first == quote else { return literal }
    let stripped = lines.map { $0.starts(with: indentation) ? $0.dropFirst(indentation.count) : $0 }
    return Array(stripped.joined(separator: [newline]))
  }
}

private let newline: UInt8 = 10
private let quote: UInt8 = 34
private let hash: UInt8 = 35
private let apostrophe: UInt8 = 39
private let openParenthesis: UInt8 = 40
private let closeParenthesis: UInt8 = 41
private let star: UInt8 = 42
private let point: UInt8 = 46
private let slash: UInt8 = 47
private let backslash: UInt8 = 92

private func isWhiteSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) || byte == 0 }

/// Letters, digits, `_`, `$`, the backtick and everything beyond ASCII.
private func isWordPart(_ byte: UInt8) -> Bool {
  (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95 || byte == 36
    || byte == 96 || byte >= 128
}

/// `! % & * + - . / < = > ? ^ | ~`
private func isSign(_ byte: UInt8) -> Bool {
  [33, 37, 38, 42, 43, 45, 46, 47, 60, 61, 62, 63, 94, 124, 126].contains(byte)
}
