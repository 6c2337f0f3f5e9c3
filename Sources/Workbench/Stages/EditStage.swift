internal import Configuration
internal import Diffusion
internal import Erasure
internal import Foundation
internal import Tensors

/// Makes the edit of a technique from its estimates, or takes it from a file.
enum EditStage {
  static let sourceFile = #fileID

  /// The edit, without the tensors that it leaves as they are: an edit that changes nothing is the empty one, and
  /// shares its images with the base model. Its details say how much it changes.
  ///
  /// - Throws: what the technique is refused for, and what an edit is that does not fit the model.
  static func compute(_ technique: any Technique, _ context: EditContext) throws -> ModelEdit {
    try changes(of: technique.edit(context), from: context.model)
  }

  /// The edit that a file holds, measured like one that was computed.
  ///
  /// - Throws: what ``EditFile`` refuses.
  static func load(_ file: EditFile, for model: DiffusionModel, base: BaseModel) throws -> ModelEdit {
    try changes(of: file.read(for: model, base: base), from: model)
  }

  private static func changes(of edit: ModelEdit, from model: DiffusionModel) throws -> ModelEdit {
    var edit = edit
    edit.replacedUNetTensors = changed(edit.replacedUNetTensors, from: model.unetWeights)
    edit.replacedTextEncoderTensors = changed(edit.replacedTextEncoderTensors, from: model.textWeights)
    let figures = try figures(of: edit, from: model)
    edit.details = .object((edit.details.object ?? [:]).merging(figures) { $1 })
    return edit
  }

  private static func changed(_ tensors: [String: Tensor], from weights: Weights) -> [String: Tensor] {
    tensors.filter { name, tensor in
      guard let weight = weights[name] else { return true }
      return !haveSameBits(tensor, weight)
    }
  }

  /// How much of the model's weights the edit changes, by the same yardstick for every technique.
  ///
  /// - Returns: `values_changed`, the number of elements of UNet and text encoder that are other numbers afterwards (a
  ///   pruned element that was zero is none of them); `weights_changed`, their share of all elements of both, from 0 to
  ///   1; and `unet_float32_bytes`, the size of the whole UNet in bytes, to hold that of an edit against. What works
  ///   while images are drawn changes no weight.
  private static func figures(of edit: ModelEdit, from model: DiffusionModel) throws -> [String: JSON] {
    let edited = try edit.applied(to: model)
    let unet = Set(edit.replacedUNetTensors.keys).union(edit.pruned.elements.keys)
    let changed =
      unet.reduce(0) { $0 + differences(model.unetWeights[$1], edited.unetWeights[$1]) }
      + edit.replacedTextEncoderTensors.keys.reduce(0) {
        $0 + differences(model.textWeights[$1], edited.textWeights[$1])
      }
    let count = model.unetWeights.parameterCount + model.textWeights.parameterCount
    return [
      "values_changed": .integer(changed), "weights_changed": .number(Double(changed) / Double(max(count, 1))),
      "unet_float32_bytes": .integer(model.unetWeights.parameterCount * MemoryLayout<Float>.size),
    ]
  }

  /// The number of elements in which two tensors of one shape are different numbers.
  private static func differences(_ a: Tensor?, _ b: Tensor?) -> Int {
    guard let a, let b else { return 0 }
    return a.withUnsafeValues { left in
      b.withUnsafeValues { right in zip(left, right).reduce(0) { $1.0 == $1.1 ? $0 : $0 + 1 } }
    }
  }

  private static func haveSameBits(_ a: Tensor, _ b: Tensor) -> Bool {
    guard a.shape == b.shape else { return false }
    return a.withUnsafeValues { left in
      b.withUnsafeValues { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return true }
        return memcmp(left, right, a.count * MemoryLayout<Float>.size) == 0
      }
    }
  }
}
