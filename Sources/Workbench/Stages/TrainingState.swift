internal import Configuration
internal import Foundation
internal import Store

/// The folder in which the training of one stage keeps its state, named after the stage's key, so that a state is never
/// taken for that of another experiment. What an error or an interruption leaves in it is for the next attempt.
struct TrainingState {
  let folder: String

  init(_ key: StageKey, storeFolder: String) { folder = "\(storeFolder)/training/\(key.digest.short)" }

  /// The file of a training that keeps one.
  var file: String { folder + "/state.safetensors" }

  /// Whether an earlier attempt has left one.
  var exists: Bool { FileManager.default.fileExists(atPath: folder) }

  /// Removes it, once the store has what the training was for.
  func remove() throws {
    guard exists else { return }
    do {
      try FileManager.default.removeItem(atPath: folder)
    } catch {
      throw FileError(folder, "the state of this finished training cannot be removed")
    }
  }
}
