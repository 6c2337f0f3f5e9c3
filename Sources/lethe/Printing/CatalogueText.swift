import Configuration
import Workbench

/// Techniques, attacks and metrics as `lethe describe` prints them.
enum CatalogueText {
  typealias Description = (json: JSON, text: String)

  static func overview(_ catalogue: Catalogue, models: [String]) -> Description {
    var columns = Columns()
    let names = catalogue.techniqueOverviews.map { technique in
      technique.name + (technique.aliases.isEmpty ? "" : " (or \(technique.aliases.joined(separator: ", ")))")
    }
    columns.add("techniques", names.joined(separator: ", "))
    columns.add("attacks", catalogue.attacks.keys.sorted().joined(separator: ", "))
    columns.add("metrics", catalogue.metrics.keys.sorted().joined(separator: ", "))
    columns.add("base models", models.isEmpty ? "none" : models.joined(separator: ", "))
    var json: [String: JSON] = ["base_models": .array(models.map(JSON.string))]
    for kind in ComponentKind.allCases {
      json["\(kind)s"] = .array(catalogue.entries(kind).keys.sorted().map(JSON.string))
    }
    return (.object(json), columns.text() + "\n\nlethe describe NAME explains each of them.")
  }

  /// - Parameter base: what the base model has to say about defaults
  static func component(
    _ name: String, _ catalogue: Catalogue, base: BaseDeclaration, baseName: String
  ) throws -> Description {
    let (kind, rows) = try catalogue.table(of: name)
    let warnings = catalogue.entries(kind)[name].map { $0.init().warnings } ?? []
    let overview = catalogue.techniqueOverviews.first { kind == .technique && ([$0.name] + $0.aliases).contains(name) }
    var text = "\(Style.bold(name)), \(kind == .attack ? "an" : "a") \(kind)"
    if let overview {
      text += ": \(overview.title)" + (overview.paper.isEmpty ? "" : "\n\(overview.paper)")
    }
    for row in rows { text += "\n\n" + fieldText(row, base, baseName) }
    if !warnings.isEmpty {
      text += "\n\nWith its defaults:\n" + warnings.map { "    warning: \($0)" }.joined(separator: "\n")
    }
    let json: JSON = [
      "name": .string(name), "kind": .string(kind.rawValue),
      "fields": .array(rows.map { fieldJSON($0, base) }), "warnings": .array(warnings.map(JSON.string)),
    ]
    return (json, text)
  }

  /// A setting, and further in those of the objects that are its value.
  private static func fieldText(
    _ row: FieldDescription, _ base: BaseDeclaration, _ baseName: String, margin: String = ""
  ) -> String {
    let rule = row.requirement.isEmpty ? "" : ", \(row.requirement)"
    let head = "\(Style.bold(row.key)) = \(defaultText(row, base, baseName))  \(Style.dim("(\(row.type)\(rule))"))"
    let inner = margin + "    "
    let lines = Columns.wrapped(meaning(row), width: Console.width - inner.count).map { inner + $0 }
    let members = row.members.map { fieldText($0, base, baseName, margin: inner) }
    return ([margin + head] + lines + members).joined(separator: "\n")
  }

  private static func defaultText(_ row: FieldDescription, _ base: BaseDeclaration, _ baseName: String) -> String {
    let fallback = row.defaultValue.isNull ? nil : row.defaultValue.canonical()
    switch row.filledBy {
    case .baseModel:
      let own = base.defaults[row.key].map { "\($0.canonical()) (\(baseName)), else " } ?? "the base model's, else "
      return own + (fallback ?? "none")
    case .erasedConcepts: return FieldFiller.erasedConcepts.description + (fallback.map { ", else \($0)" } ?? "")
    case nil: return fallback ?? "unset"
    }
  }

  private static func meaning(_ row: FieldDescription) -> String {
    let notes = [row.affectsResult ? "" : "changes no result", row.source].filter { !$0.isEmpty }
    return row.meaning + (notes.isEmpty ? "." : ". [\(notes.joined(separator: "; "))]")
  }

  private static func fieldJSON(_ row: FieldDescription, _ base: BaseDeclaration) -> JSON {
    var json: [String: JSON] = [
      "key": .string(row.key), "type": .string(row.type), "default": row.defaultValue,
      "requirement": .string(row.requirement), "meaning": .string(row.meaning), "source": .string(row.source),
      "affects_result": .bool(row.affectsResult),
    ]
    if let filler = row.filledBy { json["filled_by"] = .string(filler.description) }
    if !row.members.isEmpty { json["members"] = .array(row.members.map { fieldJSON($0, base) }) }
    if row.filledBy == .baseModel, let own = base.defaults[row.key] { json["base_model_default"] = own }
    return .object(json)
  }
}
