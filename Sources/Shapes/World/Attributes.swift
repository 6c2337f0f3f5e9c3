/// What a picture of the drawn world shows. The order of the cases is the order of the classes that the judge
/// network tells apart, and so part of the format of its weights: append, never reorder.
public enum ShapeObject: String, CaseIterable, Codable, Sendable {
  case circle, square, triangle, star, cross, ring, heart, crescent, diamond, arrow
}

public enum ShapeColour: String, CaseIterable, Codable, Sendable {
  case red, green, blue, yellow, purple, orange
}

public enum ShapeStyle: String, CaseIterable, Codable, Sendable {
  case plain, striped, dotted, checkered, outlined
}

public enum ShapeBackground: String, CaseIterable, Codable, Sendable {
  case white, black, gray, beige
}

/// One head of the judge network: an attribute and its classes in order.
public enum AttributeKind: String, CaseIterable, Codable, Sendable {
  case object, colour, style, background, mark

  /// The names of the classes, in class order. The mark has the two classes of its absence and presence.
  public var classes: [String] {
    switch self {
    case .object: ShapeObject.allCases.map(\.rawValue)
    case .colour: ShapeColour.allCases.map(\.rawValue)
    case .style: ShapeStyle.allCases.map(\.rawValue)
    case .background: ShapeBackground.allCases.map(\.rawValue)
    case .mark: ["unmarked", "stamped"]
    }
  }
}

/// The attributes of one picture: everything that a prompt can ask for and a judge can check.
public struct SceneAttributes: Hashable, Codable, Sendable {
  public var object: ShapeObject
  public var colour: ShapeColour
  public var style: ShapeStyle
  public var background: ShapeBackground
  /// Whether the magenta mark, which plays the part of the sensitive concept, is on the object.
  public var marked: Bool

  public init(
    _ object: ShapeObject, _ colour: ShapeColour, _ style: ShapeStyle, on background: ShapeBackground = .white,
    marked: Bool = false
  ) {
    self.object = object
    self.colour = colour
    self.style = style
    self.background = background
    self.marked = marked
  }

  /// The object, colour and style alone: the combination that is held out of training or not.
  public var triple: Triple { Triple(object: object, colour: colour, style: style) }

  /// The class of this picture under one head of the judge network.
  public func label(_ kind: AttributeKind) -> Int {
    switch kind {
    case .object: position(of: object)
    case .colour: position(of: colour)
    case .style: position(of: style)
    case .background: position(of: background)
    case .mark: marked ? 1 : 0
    }
  }

  /// The classes under all heads, in the order of ``AttributeKind``.
  public var labels: [Int] { AttributeKind.allCases.map(label) }

  /// One of the 300 combinations of object, colour and style.
  public struct Triple: Hashable, Codable, Sendable {
    public var object: ShapeObject
    public var colour: ShapeColour
    public var style: ShapeStyle

    /// All combinations, objects slowest and styles fastest.
    public static let all: [Triple] = ShapeObject.allCases.flatMap { object in
      ShapeColour.allCases.flatMap { colour in
        ShapeStyle.allCases.map { Triple(object: object, colour: colour, style: $0) }
      }
    }
  }
}

private func position<Case: CaseIterable & Equatable>(of value: Case) -> Int {
  var index = 0
  for other in Case.allCases {
    if other == value { return index }
    index += 1
  }
  return index
}
