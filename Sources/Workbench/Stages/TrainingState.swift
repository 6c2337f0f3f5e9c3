internal import Foundation
internal import Store

/// The file in which the training of one stage keeps its state, named after the stage's key, so that a state is never
/// taken for that of another experiment.
struct TrainingState {
  private let folder: String

  init(_ key: StageKey, storeFolder: String) { folder = "\(storeFolder)/training/\(key.digest.short)" }

  var file: String { folder + "/state.safetensors" }

  /// Calls `body` with the file, its folder made, and removes both once `body` has returned: a state that an error or an
  /// interruption leaves behind is for the next attempt.
  func whileTraining<Result>(_ body: (String) throws -> Result) throws -> Result {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let result = try body(file)
    try? FileManager.default.removeItem(atPath: folder)
    return result
  }
}
