import Diffusion
import Foundation
import TestSupport

/// A copy of the tiny model that diffusers wrote, to be spoilt.
func withModelFolder(_ body: (String) throws -> Void) throws {
  try withScratchFolder { folder in
    let copy = folder + "/model"
    try FileManager.default.copyItem(atPath: Reference.tinyDiffusers, toPath: copy)
    try body(copy)
  }
}

/// The sentence with which a model's folder or single file is refused.
func refusal(_ path: String) -> String {
  do {
    _ = try DiffusionModel(folder: path)
    return "accepted"
  } catch {
    return "\(error)"
  }
}
