/// A table of comma-separated values that cannot be read, as one sentence that names the file, the line and, where one
/// is at fault, the column.
public struct CSVError: Error, Equatable, CustomStringConvertible {
  public let file: String
  /// The line on which the record at fault begins, counted from 1; `nil` where no single one is.
  public let line: Int?
  /// One sentence without its subject's place.
  public let message: String

  public init(file: String, line: Int? = nil, _ message: String) {
    self.file = file
    self.line = line
    self.message = message
  }

  public var description: String { "\(file):\(line.map { "\($0):" } ?? "") \(message)" }
}

/// A table of comma-separated values (RFC 4180) in UTF-8: a header with the names of the columns, and one row or more
/// of as many fields.
///
/// Read as the format says and no further: a quote stands around a whole field or is doubled within one, and a quoted
/// field may hold commas and line ends. Lines end in CR LF, LF or CR; a byte order mark is passed over, and so is a
/// line with nothing on it.
public struct CSV: Equatable, Sendable {
  /// What the reader called the table, usually a path.
  public let file: String
  /// The names of the columns, each once.
  public let header: [String]
  /// The fields of each row, as many as there are columns.
  public let rows: [[String]]
  /// The line on which each row begins, counted from 1 with the header's.
  public let lines: [Int]

  /// The values of a column, one for each row.
  ///
  /// - Throws: ``CSVError`` where the table has no such column, with those that it has.
  public func column(_ name: String) throws(CSVError) -> [String] {
    guard let index = header.firstIndex(of: name) else {
      throw CSVError(
        file: file, line: 1,
        "the first line is the header and names no column \"\(name)\", only "
          + header.map { "\"\($0)\"" }.joined(separator: ", "))
    }
    return rows.map { $0[index] }
  }

  /// Reads a table from a file.
  ///
  /// - Parameter limit: the most rows that the caller takes
  /// - Throws: ``CSVError``
  public static func read(_ path: String, limit: Int) throws(CSVError) -> CSV {
    let bytes: [UInt8]
    do throws(UnreadableFile) {
      bytes = try contents(of: path)
    } catch {
      throw CSVError(file: path, error.reason)
    }
    return try parse(bytes, file: path, limit: limit)
  }

  /// Reads a table from its text.
  ///
  /// - Parameters:
  ///   - text: UTF-8 bytes
  ///   - file: what errors call the text
  ///   - limit: the most rows that the caller takes
  /// - Throws: ``CSVError`` for text that is no table, for a header without rows, and for more rows than `limit`
  public static func parse(_ text: some Collection<UInt8>, file: String, limit: Int) throws(CSVError) -> CSV {
    var parser = CSVParser(bytes: Array(text), file: file)
    guard let header = try parser.record(header: nil) else {
      throw CSVError(file: file, "the file is empty where a header with the names of the columns was expected")
    }
    if let name = Dictionary(grouping: header.fields, by: \.self).filter({ $0.value.count > 1 }).keys.min() {
      throw CSVError(file: file, line: header.line, "the header names the column \"\(name)\" twice")
    }
    var rows: [[String]] = []
    var lines: [Int] = []
    while let record = try parser.record(header: header.fields) {
      guard rows.count < limit else {
        throw CSVError(file: file, line: record.line, "there are more than \(limit) rows, and no more are taken")
      }
      guard record.fields.count == header.fields.count else {
        throw CSVError(
          file: file, line: record.line,
          "this row has \(record.fields.count) field\(record.fields.count == 1 ? "" : "s"), and the header has "
            + "\(header.fields.count)")
      }
      rows.append(record.fields)
      lines.append(record.line)
    }
    guard !rows.isEmpty else { throw CSVError(file: file, "there is a header and no row under it") }
    return CSV(file: file, header: header.fields, rows: rows, lines: lines)
  }

  // MARK: Writing

  /// Records as the format wants them, the header the first: one to a line that ends in CR LF.
  public static func text(_ records: [[String]]) -> String {
    // A line with nothing on it would be no record.
    records.map { ($0 == [""] ? "\"\"" : $0.map(field).joined(separator: ",")) + "\r\n" }.joined()
  }

  /// A field, quoted only where the format asks for it.
  private static func field(_ text: String) -> String {
    guard text.utf8.contains(where: { [0x2C, 0x22, 0x0D, 0x0A].contains($0) }) else { return text }
    var quoted = ""
    for scalar in text.unicodeScalars { quoted += scalar == "\"" ? "\"\"" : String(scalar) }
    return "\"\(quoted)\""
  }
}

/// Cuts bytes into records; every character with a meaning is ASCII.
private struct CSVParser {
  let bytes: [UInt8]
  let file: String
  private var position: Int
  private var line = 1

  private static let quote = UInt8(ascii: "\"")
  private static let comma = UInt8(ascii: ",")

  init(bytes: [UInt8], file: String) {
    self.bytes = bytes
    self.file = file
    position = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
  }

  /// The next record and the line on which it begins; `nil` at the end.
  ///
  /// - Parameter header: the names of the columns, for errors; `nil` while they are not known
  mutating func record(header: [String]?) throws(CSVError) -> (fields: [String], line: Int)? {
    while takeLineEnd() {}
    guard position < bytes.count else { return nil }
    let first = line
    var fields: [String] = []
    while true {
      let column = header.map { fields.count < $0.count ? "the column \"\($0[fields.count])\"" : "a field" }
        ?? "the header"
      fields.append(try field(in: column, line: first))
      if position < bytes.count, bytes[position] == Self.comma {
        position += 1
      } else if position == bytes.count || takeLineEnd() {
        return (fields, first)
      } else {
        throw CSVError(file: file, line: first, "in \(column) something stands behind a closing quote")
      }
    }
  }

  private mutating func field(in column: String, line first: Int) throws(CSVError) -> String {
    var content: [UInt8] = []
    if position < bytes.count, bytes[position] == Self.quote {
      position += 1
      while true {
        guard position < bytes.count else {
          throw CSVError(file: file, line: first, "a quote that opens in \(column) is never closed")
        }
        if bytes[position] == Self.quote {
          position += 1
          guard position < bytes.count, bytes[position] == Self.quote else { break }
          content.append(Self.quote)
          position += 1
        } else {
          let start = position
          if !takeLineEnd() { position += 1 }
          content += bytes[start..<position]
        }
      }
    } else {
      while position < bytes.count, bytes[position] != Self.comma, !isLineEnd(bytes[position]) {
        guard bytes[position] != Self.quote else {
          throw CSVError(
            file: file, line: first,
            "a quote stands within a field of \(column) that does not begin with one; quote the whole field and double "
              + "the quote")
        }
        content.append(bytes[position])
        position += 1
      }
    }
    guard let text = String(validating: content, as: UTF8.self) else {
      throw CSVError(file: file, line: first, "\(column) holds bytes that are no UTF-8; save the file as UTF-8")
    }
    return text
  }

  private func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

  /// Passes over the end of a line, where one stands here.
  private mutating func takeLineEnd() -> Bool {
    guard position < bytes.count, isLineEnd(bytes[position]) else { return false }
    if bytes[position] == 0x0D, position + 1 < bytes.count, bytes[position + 1] == 0x0A { position += 1 }
    position += 1
    line += 1
    return true
  }
}
