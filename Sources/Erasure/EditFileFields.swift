internal import Configuration
internal import Tensors

/// Where an edit is saved to and loaded from; the workbench reads and writes the files.
extension Field {
  static func savePath(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "save_path", path, .weightsFile, "Where to save the edited UNet weights", source: "seed document 000",
      affectsResult: false, role: .path)
  }

  static func loadPath(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "load_path", path, .weightsFile, "Edited UNet weights to load instead of computing any",
      source: "seed document 000", role: .path)
  }

  static func saveMask(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "save_path", path, .maskFile, "Where to save the pruning mask; lethe export writes the pruned model",
      source: "own", affectsResult: false, role: .path)
  }

  static func loadMask(_ path: any WritableKeyPath<Root, String?> & Sendable) -> Field {
    Field(
      "load_path", path, .maskFile, "A saved pruning mask to load instead of learning one", source: "own", role: .path)
  }
}

extension Rule where Value == String {
  fileprivate static var weightsFile: Rule {
    Rule("ending in .safetensors, .bin, .pt, .pth or .ckpt") { TensorFile.isNamed($0) }
  }

  fileprivate static var maskFile: Rule { Rule("ending in .mask") { $0.hasSuffix(".mask") } }
}
