/// What a field's value must satisfy beyond its type, with the words that a refusal and `lethe describe` use for it.
public struct Rule<Value: Sendable>: Sendable {
  /// Completes "expected …": "a number greater than 0", "between 0 and 1".
  public let requirement: String
  let allows: @Sendable (Value) -> Bool

  public init(_ requirement: String, _ allows: @escaping @Sendable (Value) -> Bool) {
    self.requirement = requirement
    self.allows = allows
  }

  /// Every value of the type.
  static var anything: Rule { Rule("") { _ in true } }
}

extension Rule where Value: Comparable & ConfigurationValue {
  public static func greaterThan(_ bound: Value) -> Rule {
    Rule("greater than \(bound.json.canonical())") { $0 > bound }
  }
  public static func atLeast(_ bound: Value) -> Rule { Rule("at least \(bound.json.canonical())") { $0 >= bound } }
  public static func between(_ range: ClosedRange<Value>) -> Rule {
    Rule("between \(range.lowerBound.json.canonical()) and \(range.upperBound.json.canonical())") { range.contains($0) }
  }
}

extension Rule where Value: Collection {
  /// A string with at least one character, a list with at least one element.
  public static var notEmpty: Rule { Rule("not empty") { !$0.isEmpty } }
}

extension Rule {
  /// A list with at least one element, each of which satisfies `rule`.
  public static func each<Element>(_ rule: Rule<Element>) -> Rule where Value == [Element] {
    Rule("not empty, each \(rule.requirement)") { !$0.isEmpty && $0.allSatisfy(rule.allows) }
  }
}
