internal import Configuration
internal import Diffusion
internal import Erasure
internal import Foundation
internal import Store
internal import Tensors

/// Computes one estimate of a technique.
enum EstimateStage {
  static let sourceFile = #fileID

  static func compute(_ estimate: Estimate, _ context: EditContext) throws -> [String: Tensor] {
    try estimate.compute(context)
  }
}

/// Makes the edit of a technique from its estimates, or takes it from a file.
enum EditStage {
  static let sourceFile = #fileID

  /// The edit, without the tensors that it leaves as they are: an edit that changes nothing is the empty one, and
  /// shares its images with the base model.
  static func compute(_ technique: any Technique, _ context: EditContext) throws -> ModelEdit {
    changes(of: try technique.edit(context), from: context.model)
  }

  /// The edit that a file of UNet weights amounts to.
  ///
  /// - Throws: `SafetensorsError`, or `ModelFolderError` for weights that are not those of this UNet.
  static func load(_ path: String, for model: DiffusionModel) throws -> ModelEdit {
    let file = try SafetensorsFile(path)
    let names = model.unetWeights.names
    if let missing = names.first(where: { !file.contains($0) }) {
      throw ModelFolderError(file: path, key: missing, "this weight of the UNet is not in the file")
    }
    var tensors: [String: Tensor] = [:]
    for name in file.names {
      guard let weight = model.unetWeights[name] else {
        throw ModelFolderError(
          file: path, key: name, "the UNet has no such weight\(suggestion(for: name, among: names))")
      }
      let shape = try file.shape(of: name)
      guard shape == weight.shape else {
        throw ModelFolderError(
          file: path, key: name, "has the shape \(shape), and the UNet's weight has \(weight.shape)")
      }
      tensors[name] = try file.tensor(name)
    }
    return changes(of: ModelEdit(replacedUNetTensors: tensors), from: model)
  }

  private static func changes(of edit: ModelEdit, from model: DiffusionModel) -> ModelEdit {
    var edit = edit
    edit.replacedUNetTensors = edit.replacedUNetTensors.filter { name, tensor in
      guard let weight = model.unetWeights[name] else { return true }
      return !haveSameBits(tensor, weight)
    }
    return edit
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

extension Component {
  /// The concepts that a technique erases, in the order of its fields.
  var erasedConcepts: [String] { strings(.concept).filter { $0.key.hasPrefix("erase") }.flatMap(\.values) }
}
