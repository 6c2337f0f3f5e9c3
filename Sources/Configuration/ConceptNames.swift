/// One concept or several: a string or a list of strings where it is written.
public struct ConceptNames: ConfigurationValue, ExpressibleByStringLiteral {
  public var names: [String]

  public init(_ names: [String]) { self.names = names }
  public init(stringLiteral name: String) { names = [name] }

  public static var typeName: String { "string or list of strings" }

  public init?(_ json: JSON) {
    if let name = json.string {
      names = [name]
    } else if let names = [String](json) {
      self.names = names
    } else {
      return nil
    }
  }

  /// A single name is written as a string, however it was read.
  public var json: JSON { names.count == 1 ? .string(names[0]) : names.json }
}

extension Rule where Value == ConceptNames {
  /// At least one name, none of them empty.
  public static var named: Rule {
    Rule("at least one, none of them empty") { !$0.names.isEmpty && $0.names.allSatisfy { !$0.isEmpty } }
  }
}
