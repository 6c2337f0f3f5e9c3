import ArgumentParser

/// Values of options that are more than one word.
enum Parsing {
  /// Whole numbers separated by commas.
  static func numbers(_ text: String) throws -> [Int] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { piece in
      guard let number = Int(piece.filter { $0 != " " }) else {
        throw ValidationError("expected whole numbers separated by commas, found \"\(text)\"")
      }
      return number
    }
  }
}
