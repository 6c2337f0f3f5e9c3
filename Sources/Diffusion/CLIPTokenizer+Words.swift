internal import Foundation

extension CLIPTokenizer {
  /// Normalization form C, by the tables of Unicode 9 that transformers has: newer marks stay where they are.
  static func composed(_ scalars: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
    // Below the first combining mark nothing composes.
    if scalars.allSatisfy({ $0.value < 0x300 }) { return Array(scalars) }
    var composed: [Unicode.Scalar] = []
    var run = String.UnicodeScalarView()
    func flush() {
      for scalar in String(run).precomposedStringWithCanonicalMapping.unicodeScalars {
        // Foundation leaves the final consonant of a Hangul syllable that is there already.
        if let syllable = composed.last.flatMap({ hangul($0, with: scalar) }) {
          composed[composed.count - 1] = syllable
        } else {
          composed.append(scalar)
        }
      }
      run = String.UnicodeScalarView()
    }
    for scalar in scalars {
      if scalar.properties.age.map({ $0.major > 9 }) ?? false {
        flush()
        composed.append(scalar)
      } else {
        run.append(scalar)
      }
    }
    flush()
    return composed
  }

  private static func hangul(_ syllable: Unicode.Scalar, with final: Unicode.Scalar) -> Unicode.Scalar? {
    guard (0xAC00...0xD7A3).contains(syllable.value), (syllable.value - 0xAC00) % 28 == 0,
      (0x11A8...0x11C2).contains(final.value)
    else { return nil }
    return Unicode.Scalar(syllable.value + final.value - 0x11A7)
  }

  /// Lower case, then the matches of CLIP's pattern from left to right: the name of a special token, which falls into
  /// signs and letters, a contraction's ending, a run of letters, one digit, or a run of anything else but white space.
  static func words(of text: ArraySlice<Unicode.Scalar>) -> [[Unicode.Scalar]] {
    let scalars = text.flatMap { Array($0.properties.lowercaseMapping.unicodeScalars) }
    let kinds = scalars.map(Kind.init)
    var words: [[Unicode.Scalar]] = []
    var at = 0
    while at < scalars.count {
      let start = at
      if scalars[at] == "<", let name = specialNames.first(where: scalars[at...].starts) {
        words += [Array(name.prefix(2)), Array(name.dropFirst(2).dropLast(2)), Array(name.suffix(2))]
        at += name.count
        continue
      }
      if let length = contraction(scalars[at...]) {
        at += length
      } else {
        let kind = kinds[at]
        at += 1
        if kind == .space { continue }
        if kind != .number {
          while at < scalars.count && kinds[at] == kind { at += 1 }
        }
      }
      words.append(Array(scalars[start..<at]))
    }
    return words
  }

  private enum Kind {
    case letter, number, space, other

    init(_ scalar: Unicode.Scalar) {
      switch scalar.value {
      case 0x61...0x7A, 0x41...0x5A: self = .letter
      case 0x30...0x39: self = .number
      case 0x20, 0x09...0x0D: self = .space
      case ..<0x80: self = .other
      default:
        // The tables of transformers know letters and numbers up to Unicode 16.
        if let age = scalar.properties.age, age.major > 16 {
          self = .other
          return
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        default: self = scalar.properties.isWhitespace ? .space : .other
        }
      }
    }
  }

  private static let specialNames = ["<|startoftext|>", "<|endoftext|>"].map { Array($0.unicodeScalars) }

  private static let contractions: [[Unicode.Scalar]] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]
    .map { Array($0.unicodeScalars) }

  private static func contraction(_ scalars: ArraySlice<Unicode.Scalar>) -> Int? {
    guard scalars.first == "'" else { return nil }
    return contractions.first { scalars.starts(with: $0) }?.count
  }

  /// The printable characters that stand for the 256 bytes in the vocabulary: a byte that is a printable Latin-1
  /// character stands for itself, the others take the characters from U+0100 on.
  public static let byteAlphabet: [String] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      let isPrintable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
      let value = isPrintable ? byte : next
      if !isPrintable { next += 1 }
      return Unicode.Scalar(value).map { String($0) } ?? ""
    }
  }()

  static let byteValues: [Unicode.Scalar: UInt8] = {
    var values: [Unicode.Scalar: UInt8] = [:]
    for (byte, text) in byteAlphabet.enumerated() {
      if let scalar = text.unicodeScalars.first { values[scalar] = UInt8(byte) }
    }
    return values
  }()
}
