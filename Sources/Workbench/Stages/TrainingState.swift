internal import Foundation
internal import Store

/// The file in which the training of one stage keeps its state, named after the stage's key, so that a state is never
/// taken for that of another experiment.
struct TrainingState {
  private let folder: String

  init(_ key: StageKey, storeFolder: String) { folder = "\(storeFolder)/training/\(key.digest.short)" }

  /// Calls `body` with the file, and removes what it left there once it has returned: a state that an error or an
  /// interruption leaves behind is for the next attempt.
  func whileTraining<Result>(_ body: (String) throws -> Result) throws -> Result {
    let result = try body(folder + "/state.safetensors")
    if FileManager.default.fileExists(atPath: folder) { try FileManager.default.removeItem(atPath: folder) }
    return result
  }
}
