import Configuration
import Diffusion
import Store
import Workbench

/// Models as `lethe models` prints them.
enum ModelText {
  static func table(_ models: [KnownModel]) -> String {
    guard !models.isEmpty else { return "no models; lethe models add NAME PATH gives one a name" }
    var columns = Columns(["name", "family", "parameters", "bytes", "precision", "digest", "folder"], numbers: [2, 3])
    for model in models {
      guard let summary = model.summary else {
        columns.add(model.name, "", "", "", "", "", model.problem ?? "")
        continue
      }
      columns.add(
        model.name, summary.family, parameters(summary.parameters), ByteCount(summary.bytes).description,
        summary.precision.rawValue, model.digest?.short ?? "", model.folder)
    }
    return columns.text(wrapsLast: false)
  }

  /// One model in full.
  static func text(_ model: KnownModel) -> String {
    var columns = Columns()
    columns.add("folder", model.folder)
    columns.add("named", model.isRegistered ? "by lethe models add" : "by its place")
    columns.add("digest", model.digest?.hex ?? "")
    guard let summary = model.summary else { return Style.bold(model.name) }
    columns.add("family", summary.family)
    columns.add("pictures", "\(summary.resolution) x \(summary.resolution) pixels")
    columns.add("scheduler", "\(summary.scheduler), predicts \(summary.predictionType)")
    columns.add("weights", "\(parameters(summary.parameters)) parameters, \(ByteCount(summary.bytes))")
    columns.add("card", summary.card.map { "\($0.name): \($0.description)" } ?? "none")
    var parts = Columns(["part", "tensors", "parameters", "bytes", "precision"], numbers: [1, 2, 3])
    for part in summary.parts {
      parts.add(
        part.name, "\(part.tensors)", "\(part.parameters)", ByteCount(part.bytes).description, part.precision.rawValue)
    }
    return "\(Style.bold(model.name)), a model\n\n\(columns.text())\n\n\(parts.text())"
  }

  static func json(_ model: KnownModel) -> JSON {
    var json: [String: JSON] = [
      "name": .string(model.name), "folder": .string(model.folder), "registered": .bool(model.isRegistered),
      "digest": model.digest.map { .string($0.hex) } ?? .null, "problem": model.problem.map(JSON.string) ?? .null,
    ]
    guard let summary = model.summary else { return .object(json) }
    json["family"] = .string(summary.family)
    json["precision"] = .string(summary.precision.rawValue)
    json["parameters"] = .integer(summary.parameters)
    json["bytes"] = .integer(summary.bytes)
    json["scheduler"] = .string(summary.scheduler)
    json["prediction_type"] = .string(summary.predictionType)
    json["resolution"] = .integer(summary.resolution)
    json["card"] = summary.card.map { ["name": .string($0.name), "description": .string($0.description)] } ?? .null
    json["parts"] = .array(
      summary.parts.map { part in
        [
          "name": .string(part.name), "tensors": .integer(part.tensors), "parameters": .integer(part.parameters),
          "bytes": .integer(part.bytes), "precision": .string(part.precision.rawValue),
        ]
      })
    return .object(json)
  }

  /// `1.07 billion`, `2.5 million`, `812`.
  private static func parameters(_ count: Int) -> String {
    let number = Double(count)
    if number >= 1e9 { return "\(RunText.fixed(number / 1e9, 2)) billion" }
    if number >= 1e6 { return "\(RunText.fixed(number / 1e6, 1)) million" }
    return "\(count)"
  }
}
