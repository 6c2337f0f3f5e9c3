internal import Configuration
internal import Diffusion
internal import Erasure
internal import Foundation
internal import Store

/// Where `lethe train sae` leaves an autoencoder.
public enum SparseAutoencoderPlace: Equatable, Sendable {
  /// In a file of its own, ending in .safetensors.
  case file(String)
  /// In the folder of the base model, whose card declares it, so that the technique finds it.
  case baseModel
}

extension Runner {
  /// Trains a sparse autoencoder on the activations of a base model, and writes it. The training is the estimate that
  /// the technique `saeuron` makes with the same settings: what the cache has of either is not computed again.
  ///
  /// - Parameters:
  ///   - file: the recipe's, from which a relative folder of the base model is seen
  ///   - budget: what it may take of memory; nil for what it wants
  /// - Throws: `ConfigurationError`, `ErasureError` and the like for what is wrong before the training begins;
  ///   `StoreError` where the record cannot be kept. What ends the training is in the record.
  public func train(
    _ recipe: SparseAutoencoderRecipe, file: String, to place: SparseAutoencoderPlace, budget: MemoryBudget? = nil,
    monitor: RunMonitor
  ) throws -> RunOutcome {
    let base: BaseModel
    let filled: SparseAutoencoderRecipe
    do {
      base = try models.base(recipe.baseModel, from: FilePlace(file).folder)
      filled = try recipe.filled(from: base.declaration)
    } catch let error as ConfigurationError {
      throw error.inside(file: file, keyPath: "")
    } catch let error as Locations.NotFound {
      throw ConfigurationError(file: file, keyPath: "base_model", error.description)
    }
    digests.save()
    let target = try path(place, base, layer: filled.autoencoder.layer)
    try WholeFile.confirmWritable(target, makesFolders: true)
    let sampler = filled.generation.sampler
    let estimate = filled.autoencoder.training(sampler: sampler, seed: UInt64(filled.seed))
    let code = TechniqueCode(code: code, techniqueFiles: catalogue.techniqueFiles)
    guard let key = estimate.key(base: base, code: code) else {
      throw ErasureError("the training of an autoencoder needs no other estimate")
    }
    if try results.lookup(key) == nil {
      try budget?.fitDrawing(.seed(0, count: PictureOrder.batchSize), sampler, folder: base.folder)
      _ = try SparseAutoencoder.width(of: filled.autoencoder.layer, in: models.load(base).unetWeights)
    }
    var recorded = RecordedTraining(store: store, name: "sae", file: file, recipe: filled.encode())
    recorded.seed = filled.seed
    recorded.inputs = ["base": .string(base.digest.hex)]
    return try recorded.run(monitor.handle) { finish in
      finish(
        RunRecord.Stage(name: "base", key: base.digest, cached: true, seconds: 0, details: base.json), nil)
      let began = ContinuousClock.now
      let known = try results.lookup(key)
      let entry = try known ?? compute(estimate, key, base, seed: UInt64(filled.seed), monitor)
      guard let digest = entry.outputs["tensors"] else {
        throw StoreError(.damagedEntry, "the cache entry \(key.digest) of the autoencoder names no tensors")
      }
      let tensors = try TensorSet.tensors(digest, from: store.objects)
      let trained = try filled.autoencoder.autoencoder(of: tensors, base: base.digest.hex)
      finish(
        RunRecord.Stage(
          name: estimate.name, key: key.digest, cached: known != nil, seconds: seconds(since: began),
          details: SparseAutoencoder.Fit(tensors: tensors)?.json),
        RunRecord.Output(name: estimate.name, digest: digest))
      try WholeFile.makeFolder(for: target)
      try trained.write(to: target)
      if place == .baseModel { try declare(target, of: filled.autoencoder.layer, base) }
    }
  }

  private func compute(
    _ estimate: Estimate, _ key: StageKey, _ base: BaseModel, seed: UInt64, _ monitor: RunMonitor
  ) throws -> CacheEntry {
    let began = ContinuousClock.now
    monitor.handle(.stageStarted(estimate.name, units: nil))
    let model = try models.load(base)
    let state = TrainingState(key, storeFolder: store.folder)
    let tensors = try EstimateStage.compute(
      estimate, EditContext(model: model, seed: seed, monitor: monitor.work(estimate.name), stateFile: state.file))
    let digest = try TensorSet.keep(tensors, in: store.objects)
    let entry = CacheEntry(key: key, outputs: ["tensors": digest], seconds: seconds(since: began))
    // The key names the model's files as they were.
    try models.confirmUnchanged()
    try results.put([entry])
    try state.remove()
    return entry
  }

  /// The file that is written.
  ///
  /// - Throws: `ConfigurationError` for one of another format, and for a base model without a card.
  private func path(_ place: SparseAutoencoderPlace, _ base: BaseModel, layer: String) throws -> String {
    switch place {
    case .file(let path):
      guard path.hasSuffix(".safetensors") else {
        throw ConfigurationError("\(path) cannot be written: only .safetensors files are supported")
      }
      return path.contains("/") ? path : "./" + path
    case .baseModel:
      guard base.card != nil else {
        throw ConfigurationError(
          "\(base.folder) has no \(ModelCard.fileName) that could declare an autoencoder: write it into a file, and "
            + "name that as autoencoder_path")
      }
      return "\(base.folder)/sae/\(layer).safetensors"
    }
  }

  private func declare(_ file: String, of layer: String, _ base: BaseModel) throws {
    guard var card = base.card else { return }
    card.sparseAutoencoders = (card.sparseAutoencoders ?? [:])
      .merging([layer: String(file.dropFirst(base.folder.count + 1))]) { $1 }
    try card.write(folder: base.folder)
  }
}
