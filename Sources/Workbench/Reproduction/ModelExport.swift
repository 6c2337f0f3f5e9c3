internal import Configuration
internal import Diffusion
internal import Erasure
internal import Foundation
public import Store

extension Runner {
  /// Writes the edited model of a past run as a diffusers folder, in the precision that the run drew with, together
  /// with the judges that its card names. From the same prompt and latent diffusers then draws what the run drew.
  ///
  /// - Returns: the digest of the run's base model.
  /// - Throws: ``ReproductionError`` for a run without an edit and for an edit of inference time that no weights
  ///   express; `ConfigurationError` for a folder that is not empty; `ModelFolderError` for a base model that changed
  ///   meanwhile.
  public func export(_ run: Digest, to folder: String) throws -> Digest {
    let record = try store.run(run)
    let point = try point(of: record, run: run)
    guard let technique = point.technique.configuration as? any Technique,
      let edit = StoredEdit({ record.output($0) })
    else { throw ReproductionError("run \(run.short) made no edit, so there is no model to export") }
    guard (try? FileManager.default.contentsOfDirectory(atPath: folder))?.isEmpty ?? true else {
      throw ConfigurationError("\(folder) is not empty; an export takes an empty folder or makes one")
    }
    let base = try models.base(point.baseModel, from: point.folder)
    var model = try edit.model(models.load(base), technique, from: store.objects)
    if technique.changesDrawing {
      let tensors = try edit.inference.map { try TensorSet.tensors($0, from: store.objects) } ?? [:]
      guard let weights = try technique.weightsInPlaceOfHooks(model, tensors: tensors) else {
        throw ReproductionError(
          "run \(run.short) erases by \(Self.means(technique)) while images are drawn, which weights cannot express: a "
            + "diffusers folder would hold the base model, and nothing is written")
      }
      model = try model.replacingUNetWeights(weights)
    }
    // Those of the base model are not the edited one's.
    model.card?.sparseAutoencoders = nil
    for (_, place) in base.card?.judges ?? [:] { try Self.copy(place, from: base.folder, to: folder) }
    try model.write(to: folder, half: technique.generation.useFP16)
    do {
      try models.confirmUnchanged()
    } catch {
      // What was written is of neither model, and is none without its index.
      try WholeFile.remove("\(folder)/model_index.json")
      throw error
    }
    return base.digest
  }

  private static func means(_ technique: any Technique) -> String {
    type(of: technique).summary.kind == .hook ? "a hook on activations" : "guidance"
  }

  private static func copy(_ place: String, from source: String, to target: String) throws {
    do {
      let to = URL(fileURLWithPath: "\(target)/\(place)")
      try FileManager.default.createDirectory(at: to.deletingLastPathComponent(), withIntermediateDirectories: true)
      if FileManager.default.fileExists(atPath: to.path) { try FileManager.default.removeItem(at: to) }
      try FileManager.default.copyItem(at: URL(fileURLWithPath: "\(source)/\(place)"), to: to)
    } catch {
      throw ConfigurationError("the judge \(source)/\(place) cannot be copied to \(target)")
    }
  }
}
