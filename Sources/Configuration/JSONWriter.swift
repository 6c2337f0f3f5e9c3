extension JSON {
  /// The canonical form of RFC 8785 (JSON Canonicalization Scheme): no white space, keys sorted by their UTF-16 code
  /// units, numbers as ECMAScript prints doubles. Equal values have equal canonical forms, so this is what is digested.
  ///
  /// Two limits come with the scheme: integers beyond ±2⁵³ are printed as the nearest double (write such a number as a
  /// string where its last digit matters), and infinities and NaN, which JSON cannot write, become `null`.
  public func canonical() -> String {
    var output = ""
    write(into: &output, indentation: nil)
    return output
  }

  /// The same value for people: two spaces of indentation, the same order of keys, lists of plain values on one line.
  public func pretty() -> String {
    var output = ""
    write(into: &output, indentation: 0)
    return output
  }

  /// - Parameter indentation: how deep the value stands, or `nil` for the canonical form.
  private func write(into output: inout String, indentation: Int?) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .integer(let value):
      output += value.magnitude <= 1 << 53 ? String(value) : ecmaScriptSpelling(of: Double(value))
    case .number(let value): output += ecmaScriptSpelling(of: value)
    case .string(let value): Self.writeQuoted(value, into: &output)
    case .array(let elements):
      let isFlat = elements.allSatisfy { $0.array == nil && $0.object == nil }
      Self.writeList(elements, open: "[", close: "]", isFlat: isFlat, indentation, into: &output) {
        $0.write(into: &$1, indentation: $2)
      }
    case .object(let members):
      let sorted = members.sorted { $0.key.utf16.lexicographicallyPrecedes($1.key.utf16) }
      Self.writeList(sorted, open: "{", close: "}", isFlat: false, indentation, into: &output) {
        Self.writeQuoted($0.key, into: &$1)
        $1 += $2 == nil ? ":" : ": "
        $0.value.write(into: &$1, indentation: $2)
      }
    }
  }

  private static func writeList<Element>(
    _ elements: [Element], open: String, close: String, isFlat: Bool, _ indentation: Int?, into output: inout String,
    write: (Element, inout String, Int?) -> Void
  ) {
    output += open
    let inner = indentation.map { $0 + 1 }
    for (index, element) in elements.enumerated() {
      if index > 0 { output += indentation == nil ? "," : isFlat ? ", " : "," }
      if let inner, !isFlat { output += "\n" + String(repeating: "  ", count: inner) }
      write(element, &output, inner)
    }
    if let indentation, !isFlat, !elements.isEmpty { output += "\n" + String(repeating: "  ", count: indentation) }
    output += close
  }

  private static func writeQuoted(_ string: String, into output: inout String) {
    output += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\u{8}": output += "\\b"
      case "\u{C}": output += "\\f"
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      case "\u{0}"..."\u{1F}":
        let digits = String(scalar.value, radix: 16)
        output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }
}

/// `Number::toString` of ECMA-262 (section 6.1.6.1.20): the shortest digits that read back as the same double, written
/// without an exponent from 10⁻⁶ up to below 10²¹.
private func ecmaScriptSpelling(of value: Double) -> String {
  guard value.isFinite else { return "null" }
  guard value != 0 else { return "0" }

  // Swift's description holds the same shortest digits; only the placing of point and exponent differs.
  let parts = value.magnitude.description.split(separator: "e")
  let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
  let whole = String(mantissa[0])
  let fraction = mantissa.count > 1 ? String(mantissa[1]) : ""
  let written = (parts.count > 1 ? Int(parts[1]) : nil) ?? 0

  // value = 0.digits × 10^point
  var digits = Substring(whole + fraction)
  var point = whole.count + written
  while digits.first == "0" {
    digits.removeFirst()
    point -= 1
  }
  while digits.last == "0" { digits.removeLast() }

  let sign = value < 0 ? "-" : ""
  let count = digits.count
  if point > 21 || point <= -6 {
    let exponent = point - 1
    let tail = count > 1 ? "." + digits.dropFirst() : ""
    return sign + digits.prefix(1) + tail + (exponent < 0 ? "e-" : "e+") + String(exponent.magnitude)
  }
  if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
  if count <= point { return sign + digits + String(repeating: "0", count: point - count) }
  return sign + digits.prefix(point) + "." + digits.dropFirst(point)
}
