internal import Foundation
internal import Store

/// The file in which the training of one stage keeps its state, named after the stage's key, so that a state is never
/// taken for that of another experiment.
struct TrainingState {
  private let folder: String

  init(_ key: StageKey, storeFolder: String) { folder = "\(storeFolder)/training/\(key.digest.short)" }

  /// The file, its folder made where it is missing.
  func file() throws -> String {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return folder + "/state.safetensors"
  }

  /// Removes it where there is one.
  func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
