import Configuration
import Testing
import Workbench

@Suite("--set assignments")
struct AssignmentTests {
  @Test(
    "each value is JSON or a bare word, and a list is written as JSON",
    arguments: [
      ("technique.config.alpha=5", [5]), ("technique.config.alpha=1,5,20", [1, 5, 20]), ("a=0.5,1e-3", [0.5, 0.001]),
      ("a=circle", ["circle"]), ("a=circle,square", ["circle", "square"]), ("a=a red circle", ["a red circle"]),
      ("a=true,false,null", [true, false, nil]), (#"a="5""#, ["5"]), (#"a="x,y",z"#, ["x,y", "z"]),
      (#"a=["a","b"]"#, [["a", "b"]]), (#"a=["a,b"],["c]"],[]"#, [["a,b"], ["c]"], []]),
      (#"a={"b": [1, 2]},3"#, [["b": [1, 2]], 3]), ("a=x=y", ["x=y"]), (#"a=5" disc"#, [#"5" disc"#]),
      (#"a="say \"x, y\"""#, [#"say "x, y""#]), ("a= 5 , 6 ", [5, 6]), (#"a="""#, [""]),
    ] as [(String, [JSON])])
  func values(text: String, values: [JSON]) throws {
    #expect(try Assignment(parsing: text).values == values)
  }

  @Test(
    "what is no assignment is refused",
    arguments: ["alpha", "=5", "", "a=", "a=1,,2", "a=1,", #"a=["x""#, #"a="x"#, "a={b:1}", "a=[1,2]x"])
  func refusals(text: String) { #expect(throws: ConfigurationError.self) { try Assignment(parsing: text) } }
}
