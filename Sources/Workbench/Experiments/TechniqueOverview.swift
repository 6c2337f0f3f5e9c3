internal import Configuration
internal import Erasure

/// What there is to know of a technique before its settings.
public struct TechniqueOverview: Sendable {
  public let name: String
  /// Other names that experiments may give it.
  public let aliases: [String]
  /// The name in full, or what it does.
  public let title: String
  /// What its edit consists of: `none`, `weights`, `mask`, `hook` or `guidance`.
  public let kind: String
  /// Authors, venue and arXiv number; empty for the base model.
  public let paper: String
  /// The work in passes of the UNet.
  public let cost: String
  /// The stages whose results other settings reuse, by name.
  public let estimates: [String]
}

extension Catalogue {
  /// All techniques by name.
  public var techniqueOverviews: [TechniqueOverview] {
    techniques.sorted { $0.key < $1.key }.compactMap { name, type in
      // An alias has no line of its own.
      guard let type = type as? any Technique.Type, type.name == name else { return nil }
      let summary = type.summary
      return TechniqueOverview(
        name: name, aliases: aliases(of: type), title: summary.title, kind: summary.kind.rawValue,
        paper: summary.paper, cost: summary.cost, estimates: type.init().estimates(seed: 0).map(\.name))
    }
  }

  private func aliases(of type: any Technique.Type) -> [String] {
    techniques.filter { $0.key != type.name && ($0.value as? any Technique.Type)?.name == type.name }.keys.sorted()
  }
}
