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
  /// The stages whose results other settings reuse.
  public let stages: [Stage]

  /// A stage, and the techniques that find its result in the cache where their settings say the same.
  public struct Stage: Sendable {
    public let name: String
    public let sharedWith: [String]
  }
}

extension Catalogue {
  /// All techniques by name.
  public var techniqueOverviews: [TechniqueOverview] {
    // An alias has no line of its own.
    let types = techniques.sorted { $0.key < $1.key }.compactMap { name, type in
      (type as? any Technique.Type).flatMap { $0.name == name ? $0 : nil }
    }
    let estimates = types.map { $0.init().estimates(seed: 0).map { (name: $0.name, source: $0.sourceFile) } }
    return types.indices.map { index in
      let (type, summary) = (types[index], types[index].summary)
      let stages = estimates[index].map { estimate in
        TechniqueOverview.Stage(
          name: estimate.name,
          sharedWith: types.indices.filter { other in
            other != index && estimates[other].contains { $0 == estimate }
          }.map { types[$0].name })
      }
      return TechniqueOverview(
        name: type.name, aliases: aliases(of: type), title: summary.title, kind: summary.kind.rawValue,
        paper: summary.paper, cost: summary.cost, stages: stages)
    }
  }

  private func aliases(of type: any Technique.Type) -> [String] {
    techniques.filter { $0.key != type.name && ($0.value as? any Technique.Type)?.name == type.name }.keys.sorted()
  }
}
