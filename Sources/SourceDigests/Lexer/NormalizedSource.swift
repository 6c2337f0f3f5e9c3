/// A source reduced to what the compiler makes of it: without comments, and with only the white space that matters.
///
/// Equal normalised sources mean the same program; so a digest of it stays the same when a comment or the layout is
/// edited, and changes when code is. Where in doubt white space is kept: computing once too often is the lesser harm.
public enum NormalizedSource {
  public static func normalize(_ source: [UInt8], _ language: SourceLanguage) -> [UInt8] {
    var lexer = SourceLexer(source, language)
    let tokens = lexer.run()
    var output: [UInt8] = []
    output.reserveCapacity(source.count / 2)
    for (index, token) in tokens.enumerated() {
      if index > 0, let separator = separator(tokens, index, language) { output.append(separator) }
      output.append(contentsOf: token.text)
    }
    return output
  }

  /// What must stand before the token at `index` to keep its meaning; nil if nothing must.
  private static func separator(_ tokens: [SourceLexer.Token], _ index: Int, _ language: SourceLanguage) -> UInt8? {
    let (before, after) = (tokens[index - 1], tokens[index])
    let space: UInt8 = 32
    let lineEnd: UInt8 = 10
    // A directive is a line of its own.
    if before.isInDirective != after.isInDirective || (after.isInDirective && after.isOnNewLine) { return lineEnd }
    guard after.isSpaced else { return nil }
    let isOpening = after.text == [40] || after.text == [91]
    // `#define f (x)` is not `#define f(x)`.
    if after.isInDirective && isOpening { return space }
    switch (before.kind, after.kind) {
    case (.word, .word), (.sign, .sign): return space
    default: break
    }
    guard language == .swift else { return nil }
    // In Swift a bracket on a new line begins a statement, one on the same line calls or subscripts.
    if isOpening, after.isOnNewLine, endsValue(before) { return lineEnd }
    // `a - b`, `a-b` are one thing, `a -b` another: a sign spaced on one side only keeps its space.
    if after.kind == .sign, !isOpener(before), !isSpacedRight(tokens, index) { return space }
    if before.kind == .sign, !isCloser(after), !isSpacedLeft(tokens, index - 1) { return space }
    return nil
  }

  private static func isSpacedLeft(_ tokens: [SourceLexer.Token], _ index: Int) -> Bool {
    index == 0 || tokens[index].isSpaced || isOpener(tokens[index - 1])
  }

  private static func isSpacedRight(_ tokens: [SourceLexer.Token], _ index: Int) -> Bool {
    index + 1 == tokens.count || tokens[index + 1].isSpaced || isCloser(tokens[index + 1])
  }

  private static func endsValue(_ token: SourceLexer.Token) -> Bool {
    token.kind == .word || token.kind == .literal || [[41], [93], [125]].contains(token.text)
  }

  /// `( [ { , ; :`, which count as white space before a sign.
  private static func isOpener(_ token: SourceLexer.Token) -> Bool {
    token.kind == .mark && [40, 91, 123, 44, 59, 58].contains(token.text[0])
  }

  /// `) ] } , ; :`, which count as white space after a sign.
  private static func isCloser(_ token: SourceLexer.Token) -> Bool {
    token.kind == .mark && [41, 93, 125, 44, 59, 58].contains(token.text[0])
  }
}
