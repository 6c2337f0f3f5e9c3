import SourceLexer
import Testing

@Suite struct NormalizedSourceTests {
  func swift(_ source: String) -> String {
    String(decoding: NormalizedSource.normalize(Array(source.utf8), .swift), as: UTF8.self)
  }

  func c(_ source: String) -> String {
    String(decoding: NormalizedSource.normalize(Array(source.utf8), .c), as: UTF8.self)
  }

  @Test func commentsAndLayoutLeaveNoTrace() {
    let plain = "public func f(_ x: Int) -> Int {\n  let y = x + 1\n  return g(y, 2)\n}\n"
    let edited = """
      /// What it does.
      public   func f(  _ x :Int )->Int   // trailing
      {
          /* nested /* comment */ here */
          let y=x+1


          return g(
            y,
            2
          )
      }
      """
    #expect(swift(plain) == "public func f(_ x:Int)->Int{let y=x+1 return g(y,2)}")
    #expect(swift(edited) == swift(plain))
  }

  @Test(arguments: [
    ("let x = 1", "let x = 2"), ("a + b", "a - b"), ("a && b", "a & b"), ("let xy = 1", "let x y = 1"),
    ("f(\"a b\")", "f(\"a  b\")"), ("f(\"a // b\")", "f(\"a // c\")"), ("a - b", "a -b"), ("x > -y", "x >- y"),
    ("let a = b\n(c)", "let a = b(c)"), ("1e-5", "1e-6"), ("f(/a b/)", "f(/a  b/)"),
  ])
  func anEditOfCodeShows(before: String, after: String) {
    #expect(swift(before) != swift(after))
  }

  @Test(arguments: [
    ("a+b", "a + b"), ("a ? b : c", "a\n  ? b\n  : c"), ("x.map { $0 }\n.filter { $0 }", "x.map { $0 }.filter { $0 }"),
    ("f( -x)", "f(-x)"), ("[ 1,2 ]", "[1, 2]"), ("x = y /* why */ + z", "x = y + z"),
    ("let a = 1\n\n\nlet b = 2", "let a = 1\nlet b = 2"),
    ("f(\n  (a, b))", "f((a, b))"), ("a /// doc\n/ b", "a / b"),
  ])
  func anEditOfWhiteSpaceDoesNot(before: String, after: String) {
    #expect(swift(before) == swift(after))
  }

  @Test func whatLooksLikeACommentInAStringIsNone() {
    #expect(swift(#"let a = "/* not */ // a comment"; b"#) == #"let a="/* not */ // a comment";b"#)
    #expect(swift(##"let a = #"quote " and \( /* "#; b /* c */"##) == ##"let a=#"quote " and \( /* "#;b"##)
    #expect(swift(#"let a = "escaped \" quote // still"; b // c"#) == #"let a="escaped \" quote // still";b"#)
  }

  @Test func interpolationsMayHoldStringsThatHoldParentheses() {
    let source = #"let a = "x \(f("y ) \(g(")"))", 2)) z" // c"#
    #expect(swift(source) == #"let a="x \(f("y ) \(g(")"))", 2)) z""#)
  }

  @Test func multiLineStringsKeepTheirTextAndLoseTheIndentationSwiftTakesAway() {
    let source = "let a = \"\"\"\n  first // no comment\n    second\n  \"\"\"\nlet b = 1"
    let moved = "  let a = \"\"\"\n      first // no comment\n        second\n      \"\"\"\n  let b = 1"
    #expect(swift(source) == swift(moved))
    #expect(swift(source).contains("first // no comment\n  second"))
    #expect(swift(source) != swift(source.replacing("    second", with: "   second")))
  }

  @Test func cKeepsDirectivesOnTheirOwnLines() {
    let source = """
      /* licence */
      #include <math.h>
      #define SCALE(x) ((x) * 2)  // twice
      static float f(float x)
      {
          return SCALE(x) + 'a' + "//"[0]; // why
      }
      """
    let edited = """
      #include <math.h>
      #define SCALE(x)  \\
        ((x) * 2)
      static float f(float x) { return SCALE(x) + 'a' + "//"[0]; }
      """
    #expect(c(source) == c(edited))
    #expect(c(source).hasPrefix("#include<math.h>\n#define SCALE(x) ((x)*2)\nstatic float f(float x){"))
    #expect(c("#define f (x)") != c("#define f(x)"))
    #expect(c("#define a\nb") != c("#define a b"))
    #expect(c("a + ++b") != c("a ++ + b"))
    #expect(c("x = '\\'' /* c */;") == c("x = '\\'';"))
  }

  @Test(arguments: ["\"", "\"\"\"", "/*", "#\"", "\"\\(", "'", "/", "#/", "\\", "\"\\", "/* /* */", "0x", "1e-"])
  func unfinishedSourceDoesNoHarm(source: String) {
    #expect(swift(source).utf8.count <= source.utf8.count)
    #expect(c(source).utf8.count <= source.utf8.count)
  }

  @Test func languagesAreToldByTheirEnding() {
    #expect(SourceLanguage(fileName: "a/B.swift") == .swift)
    #expect(SourceLanguage(fileName: "kernels.h") == .c)
    #expect(SourceLanguage(fileName: "notes.md") == nil)
  }
}
