internal import Attacks
internal import Configuration

/// What there is to know of an attack before its settings.
public struct AttackOverview: Sendable {
  public let name: String
  public let title: String
  public let publication: String
  public let cost: String
  /// What it sees with its default settings: the edited model, or the base model's text encoder alone.
  public let access: String
}

extension Catalogue {
  /// All attacks by name.
  public var attackOverviews: [AttackOverview] {
    attacks.sorted { $0.key < $1.key }.compactMap { name, type in
      guard let type = type as? any Attack.Type else { return nil }
      let access =
        switch type.init().access {
        case .editedModel: "the edited model; prompts are searched anew for every edit"
        case .baseModel: "the base model; prompts serve every technique"
        case .textEncoder: "the base model's text encoder; prompts serve every technique"
        }
      return AttackOverview(
        name: name, title: type.summary.title, publication: type.summary.publication, cost: type.summary.cost,
        access: access)
    }
  }
}
