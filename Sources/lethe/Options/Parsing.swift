import ArgumentParser
import Configuration

/// Values of options that are more than one word.
enum Parsing {
  /// How many pictures can be asked for: far more than anyone draws at a time, and few enough to be counted up in
  /// memory.
  static let counts = 1...1_000_000
  static let countsInWords = "a number of at least 1 and at most 1000000"

  /// Whole numbers separated by commas.
  static func numbers(_ text: String) throws -> [Int] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { piece in
      guard let number = Int(piece.filter { $0 != " " }) else {
        throw ValidationError("expected whole numbers separated by commas, found \"\(text)\"")
      }
      return number
    }
  }

  /// Words separated by commas.
  static func words(_ text: String) -> [String] {
    text.split(separator: ",").map { String($0.drop(while: { $0 == " " })) }
  }

  /// One of a fixed set of words, with the nearest one where none fits.
  static func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ text: String, _ type: Choice.Type
  ) throws -> Choice {
    if let choice = Choice(rawValue: text) { return choice }
    throw ValidationError(
      "\"\(text)\" is not one of its values" + suggestion(for: text, among: Choice.allCases.map(\.rawValue)))
  }
}
