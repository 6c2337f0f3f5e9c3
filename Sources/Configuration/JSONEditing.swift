extension JSON {
  /// This value with a JSON merge patch applied (RFC 7386): objects are merged key by key, `null` removes a key, and
  /// anything else, lists included, replaces what was there.
  public func merging(_ patch: JSON) -> JSON {
    guard case .object(let changes) = patch else { return patch }
    var merged = object ?? [:]
    for (key, change) in changes {
      if change.isNull {
        merged[key] = nil
      } else {
        merged[key] = (merged[key] ?? .null).merging(change)
      }
    }
    return .object(merged)
  }

  /// The value at a dotted key path such as `technique.config.alpha`.
  ///
  /// Inside a list a component is the element's position (`seeds.0`), or the `name` of an element that is an object
  /// with one (`metrics.fid.config.limit`). `nil` where the path leads nowhere.
  public func value(at keyPath: String) -> JSON? {
    var value = self
    for component in keyPath.split(separator: ".", omittingEmptySubsequences: false).map(String.init) {
      switch value {
      case .object(let members):
        guard let member = members[component] else { return nil }
        value = member
      case .array(let elements):
        guard let position = Self.position(of: component, in: elements) else { return nil }
        value = elements[position]
      default: return nil
      }
    }
    return value
  }

  /// This value with the one at `keyPath` replaced; see `value(at:)` for the paths.
  ///
  /// Objects that the path needs are made; a list never grows, and a value that is neither is never written over on the
  /// way: both are refused, naming the nearest element.
  public func setting(_ keyPath: String, to value: JSON) throws(ConfigurationError) -> JSON {
    let components = keyPath.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard !components.contains("") else {
      throw ConfigurationError(keyPath: keyPath, "a key path is names joined by single dots")
    }
    return try setting(components[...], to: value, keyPath: keyPath)
  }

  private func setting(
    _ components: ArraySlice<String>, to value: JSON, keyPath: String
  ) throws(ConfigurationError) -> JSON {
    guard let component = components.first else { return value }
    let rest = components.dropFirst()
    switch self {
    case .object(var members):
      members[component] = try (members[component] ?? .object([:])).setting(rest, to: value, keyPath: keyPath)
      return .object(members)
    case .array(var elements):
      guard let position = Self.position(of: component, in: elements) else {
        let names = elements.compactMap { $0["name"]?.string }
        throw ConfigurationError(
          keyPath: keyPath,
          "nothing in this list is called \"\(component)\"" + suggestion(for: component, among: names))
      }
      elements[position] = try elements[position].setting(rest, to: value, keyPath: keyPath)
      return .array(elements)
    default:
      throw ConfigurationError(keyPath: keyPath, "\"\(component)\" would have to be inside \(kind)")
    }
  }

  private static func position(of component: String, in elements: [JSON]) -> Int? {
    if let named = elements.firstIndex(where: { $0["name"]?.string == component }) { return named }
    guard let position = Int(component), elements.indices.contains(position) else { return nil }
    return position
  }
}
