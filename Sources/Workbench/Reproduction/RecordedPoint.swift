internal import Configuration
public import Diffusion
internal import Erasure
public import Store

/// A past run that cannot be executed again, in one sentence.
public struct ReproductionError: Error, Equatable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

extension Store {
  /// The run that a name means: a run id, or the latest run with that config hash, stage key or output, finished ones
  /// first; each abbreviated to a unique beginning.
  ///
  /// - Throws: `StoreError` `unknownName` or `ambiguousName`.
  public func run(named text: String) throws(StoreError) -> Digest {
    let name = try resolve(text)
    let rows: [RunRow]
    switch name {
    case .run(let run): return run
    case .config(let hash): rows = try index().list(RunFilter(configHash: hash))
    case .stage(let key): rows = try index().runs(withStage: key)
    case .object(let digest): rows = try index().runs(withOutput: digest)
    }
    let finished = rows.first { $0.status == RunRecord.Status.finished.rawValue }
    guard let row = finished ?? rows.first else { throw StoreError(.unknownName, "no run belongs to \(name)") }
    return row.runID
  }
}

extension RunRecord {
  /// What the record says of the base model, in the details of its first stage.
  private var base: JSON? { stages.first { $0.name == "base" }?.details }

  /// The digest of the base model that the run was made with.
  var baseDigest: Digest? { base?["digest"]?.string.flatMap { Digest(hex: $0) } }

  /// The folder that the base model was in.
  var baseFolder: String? { base?["folder"]?.string }

  /// Its files by path in the folder.
  var baseFiles: [String: String] { (base?["files"]?.object ?? [:]).compactMapValues(\.string) }

  /// The digest of the file that the edit was loaded from, if it was.
  var loadedDigest: String? { stages.first { $0.name == "edit" }?.details?["loaded"]?["digest"]?.string }

  func output(_ name: String) -> Digest? { outputs.first { $0.name == name }?.digest }
}

extension Runner {
  /// The point that a record was made of, on the same base model wherever it lies now, and without files to write.
  ///
  /// - Throws: ``ReproductionError`` if the run trained a model, or the base model is not what it was.
  func point(of record: RunRecord, run: Digest) throws -> ExperimentPoint {
    try refuseTraining(record, run)
    var document = try catalogue.withoutWrittenFiles(record.experiment)
    let file = record.file ?? record.name + ".json"
    let named = Result { try point(document, file: file, record: record) }
    if let first = try? named.get(), try isBase(of: first, the: record) { return first }
    if let folder = record.baseFolder {
      document = try document.setting("base_model", to: .string(folder))
      if let second = try? point(document, file: file, record: record), try isBase(of: second, the: record) {
        return second
      }
    }
    // Not the same model: say why, beginning with the place that the experiment names.
    let found = try named.get()
    let base = try models.base(found.baseModel, from: found.folder)
    let changed = Set(base.files.keys).union(record.baseFiles.keys).sorted().first {
      base.files[$0]?.hex != record.baseFiles[$0]
    }
    throw ReproductionError(
      "the base model \(base.folder) is not the one of run \(run.short)\(changed.map { ": \($0) differs" } ?? "")")
  }

  /// A training is recorded as a run, but it is no point of an experiment.
  private func refuseTraining(_ record: RunRecord, _ run: Digest) throws {
    guard let model = record.experiment["train"]?.string else { return }
    throw ReproductionError("run \(run.short) trained a model; lethe train \(model) does that again")
  }

  private func point(_ document: JSON, file: String, record: RunRecord) throws -> ExperimentPoint {
    let points = try points(of: Experiment(document, file: file, catalogue: catalogue))
    guard let point = points.first, points.count == 1 else {
      throw ReproductionError("the recorded experiment \(record.name) is not that of one run")
    }
    return point
  }

  private func isBase(of point: ExperimentPoint, the record: RunRecord) throws -> Bool {
    try models.base(point.baseModel, from: point.folder).digest == record.baseDigest
  }

  /// The model that a past run edited, ready to draw with, and the settings that it drew with.
  ///
  /// - Throws: ``ReproductionError`` if the run trained a model or ended before its edit, or if its base model is not
  ///   what it was.
  public func model(of run: Digest) throws -> (model: DiffusionModel, settings: SamplerSettings) {
    let record = try store.run(run)
    try refuseTraining(record, run)
    guard let edit = StoredEdit({ record.output($0) }) else {
      throw ReproductionError("run \(run.short) ended before its edit was made, so there is no model to draw with")
    }
    let point = try point(of: record, run: run)
    guard let technique = point.technique.configuration as? any Technique else {
      throw ReproductionError("the technique \"\(record.technique)\" of run \(run.short) is not built yet")
    }
    let base = try models.load(models.base(point.baseModel, from: point.folder))
    let edited = try edit.model(base, technique, from: store.objects)
    return (technique.generation.useFP16 ? try edited.roundedToHalf() : edited, technique.samplerSettings)
  }

  /// The base model of a past run, as the run drew with it but for its edit.
  ///
  /// - Throws: ``ReproductionError`` if the base model is not what it was.
  public func baseModel(of run: Digest) throws -> DiffusionModel {
    let point = try point(of: store.run(run), run: run)
    let base = try models.load(models.base(point.baseModel, from: point.folder))
    let isHalf = (point.technique.configuration as? any Technique)?.generation.useFP16 ?? false
    return isHalf ? try base.roundedToHalf() : base
  }
}
