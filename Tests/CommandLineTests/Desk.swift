import Configuration
import Foundation
import TestModels

/// A folder with a small base model, experiments and a store, and the program to use them with.
final class Desk {
  let folder: String
  private let program: Program

  /// - Parameter model: false for commands that need none
  init(model: Bool = true) throws {
    // A store syncs every object, which costs a disk more than all the work; what a test leaves may live in memory.
    let memory = "/dev/shm"
    let place =
      FileManager.default.isWritableFile(atPath: memory) ? memory : FileManager.default.temporaryDirectory.path
    folder = place + "/lethe-desk-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    program = try Program(in: folder)
    if model { _ = try SmallBaseModel(folder: folder + "/model", draws: true) }
  }

  /// The program, run in this folder; it keeps the folder.
  var lethe: Program { program.keeping(self) }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: folder + "/" + name, atomically: true, encoding: .utf8)
  }

  func write(_ name: String, _ json: JSON) throws { try write(name, json.pretty()) }

  func path(_ name: String) -> String { folder + "/" + name }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

  /// An experiment on the small model that takes a moment: a few images, two sampling steps each.
  static func experiment(_ technique: JSON = ["name": "base"]) -> JSON {
    [
      "base_model": "./model", "technique": technique, "seed": 3, "tags": ["test"],
      "metrics": [
        ["name": "cer", "config": ["concept_name": "circle", "limit": 3, "retain_limit": 5]],
        ["name": "fid", "config": ["limit": 3, "reference_limit": 6]],
        ["name": "clip_score", "config": ["limit": 3]],
      ],
    ]
  }

  static let ssd: JSON = [
    "name": "ssd",
    "config": [
      "erase_concept": "circle", "forget_prompts": ["a circle"], "retain_prompts": ["a square"],
      "num_fisher_samples": 1, "alpha": 5,
    ],
  ]
}
