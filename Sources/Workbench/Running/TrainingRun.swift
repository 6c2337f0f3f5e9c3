internal import Configuration
internal import Foundation
public import Shapes
public import Store
internal import Tensors

/// Trains the embedded model: each part is a stage with a key of its own, so that an interrupted training goes on, a
/// changed recipe trains again only what depends on it, and the whole is recorded as a run.
public struct TrainingRun {
  public let store: Store
  public let recipe: ShapesRecipe
  public let recipeFolder: String
  private let code: ComputingCode

  public init(store: Store, recipe: ShapesRecipe, recipeFolder: String, code: ComputingCode = .current) {
    self.store = store
    self.recipe = recipe
    self.recipeFolder = recipeFolder
    self.code = code
  }

  /// Trains what the cache does not have and writes the model.
  ///
  /// - Parameters:
  ///   - folder: where the diffusers folder is written
  ///   - report: called after each step with the part, steps done, steps in all and the loss
  ///   - handle: stages as they begin and end, and warnings
  /// - Throws: `StoreError` where the record cannot be kept; what ends the training is in the record.
  public func run(
    to folder: String, isCancelled: @escaping () -> Bool, report: @escaping (String, Int, Int, Float) -> Void,
    handle: @escaping (RunEvent) -> Void
  ) throws -> RunOutcome {
    try RecordedTraining(store: store, name: "shapes", file: recipeFolder, recipe: recipe.json).run(handle) { finish in
      try trainParts(to: folder, isCancelled: isCancelled, report: report, finish: finish) {
        handle(.stageStarted($0, units: nil))
      }
    }
  }

  private func trainParts(
    to folder: String, isCancelled: @escaping () -> Bool, report: @escaping (String, Int, Int, Float) -> Void,
    finish: (RunRecord.Stage, RunRecord.Output?) -> Void, begin: (String) -> Void
  ) throws {
    let training = try ShapesTraining(recipe: recipe, workFolder: store.folder + "/training")
    var trained: [ShapesPart: Weights] = [:]
    var digests: [ShapesPart: Digest] = [:]
    for part in ShapesPart.allCases {
      let began = ContinuousClock.now
      let key = key(of: part, needs: digests)
      let known = try store.cache.lookup(key)?.outputs["tensors"]
      if known == nil { begin(part.rawValue) }
      let digest = try known ?? train(part, training, trained, key, isCancelled: isCancelled, report: report)
      trained[part] = Weights(
        try TensorSet.tensors(digest, from: store.objects), source: "the trained \(part.rawValue)")
      digests[part] = digest
      finish(
        RunRecord.Stage(name: part.rawValue, key: key.digest, cached: known != nil, seconds: seconds(since: began)),
        RunRecord.Output(name: part.rawValue, digest: digest))
    }
    try training.write(trained, to: folder)
  }

  /// Trains a part and keeps its weights in the store.
  private func train(
    _ part: ShapesPart, _ training: ShapesTraining, _ trained: [ShapesPart: Weights], _ key: StageKey,
    isCancelled: @escaping () -> Bool, report: @escaping (String, Int, Int, Float) -> Void
  ) throws -> Digest {
    let began = ContinuousClock.now
    let state = TrainingState(key, storeFolder: store.folder)
    try WholeFile.makeFolder(state.folder)
    let monitor = TrainingMonitor(
      stateFolder: state.folder, report: { report($0, $1.step, $2, $1.loss) }, shouldStop: isCancelled)
    let weights = try training.train(part, trained: trained, monitor)
    let digest = try TensorSet.keep(weights.byName, in: store.objects)
    _ = try store.cache.put(CacheEntry(key: key, outputs: ["tensors": digest], seconds: seconds(since: began)))
    try state.remove()
    return digest
  }

  private func key(of part: ShapesPart, needs digests: [ShapesPart: Digest]) -> StageKey {
    let needs = part.needs.compactMap { need in digests[need].map { (need.rawValue, JSON.string($0.hex)) } }
    return StageKey(
      stage: "train." + part.rawValue,
      parts: [
        "recipe": recipe.json(of: part), "needs": .object(Dictionary(uniqueKeysWithValues: needs)),
        "code": .object(code.parts(rooms: ["CKernels", "Tensors", "Diffusion", "Shapes"], stage: #fileID)),
        "blas": code.blas,
      ])
  }
}
