internal import Configuration
internal import Erasure
internal import Store

/// What the keys of estimates and edits say of the code that computes them.
struct TechniqueCode {
  let code: ComputingCode
  /// The source files of all techniques, of which only its own counts for each.
  let techniqueFiles: [String]

  /// - Parameters:
  ///   - stage: the file of the workbench that computes the stage.
  ///   - components: the files of the technique, or that of the estimate.
  func json(stage: String, components: [String]) -> JSON {
    var parts = code.parts(rooms: ["CKernels", "Tensors", "Diffusion"], stage: stage)
    for file in components { parts.merge(code.parts(component: file, among: techniqueFiles)) { $1 } }
    return .object(parts)
  }
}

extension Estimate {
  /// The key of the estimate on a base model, whoever asks for it.
  ///
  /// - Parameters:
  ///   - estimates: the digest of each estimate's tensor set, by its name.
  ///   - files: those of the files that it is made from.
  /// - Returns: nil while an estimate that it needs is not there.
  func key(
    base: BaseModel, code: TechniqueCode, estimates: [String: Digest] = [:], files: [EstimateFile: Digest] = [:]
  ) -> StageKey? {
    var parts: [String: JSON] = [
      "base": .string(base.digest.hex), "inputs": inputs,
      "code": code.json(stage: EstimateStage.sourceFile, components: [sourceFile]), "blas": code.code.blas,
    ]
    if !needs.isEmpty {
      let found = needs.compactMap { need in estimates[need].map { (need, JSON.string($0.hex)) } }
      guard found.count == needs.count else { return nil }
      parts["needs"] = .object(Dictionary(uniqueKeysWithValues: found))
    }
    if !self.files.isEmpty { parts["files"] = .array(self.files.map { .string(files[$0]?.hex ?? "") }) }
    return StageKey(stage: name, parts: .object(parts))
  }
}
