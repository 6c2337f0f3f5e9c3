import Configuration
import Foundation
import TestModels
import Testing

@Suite("A run that is killed")
struct KillTests {
  private static let experiment: JSON = [
    "base_model": "./model", "technique": Desk.ssd, "seed": 3,
    "metrics": [["name": "fid", "config": ["limit": 240, "reference_limit": 2]]],
  ]

  @Test("killed at any moment and launched again, it redoes only what was not finished and gives the same bytes")
  func resumes() throws {
    let desk = try Desk()
    try desk.write("e.json", Self.experiment)
    // In the first estimate, right after the edit, and twice among the images.
    for (stage, seconds) in [("lethe", 0.05), ("edit", 0), ("edit", 0.3), ("edit", 0.6)] {
      let running = try desk.lethe.start(["run", "e.json"])
      let deadline = Date(timeIntervalSinceNow: 60)
      while running.isRunning, !running.errorsSoFar().contains(stage), Date() < deadline {
        Thread.sleep(forTimeInterval: 0.01)
      }
      Thread.sleep(forTimeInterval: seconds)
      kill(running.process.processIdentifier, SIGKILL)
      _ = try running.finish()
    }
    let resumed = try #require(desk.lethe("run", "e.json", "--json").json()["runs"]?[0])
    #expect(resumed["status"] == "finished")
    let stages = resumed["stages"]?.array ?? []
    let cached = stages.filter { $0["cached"] == true }.compactMap { $0["name"]?.string }
    #expect(cached.starts(with: ["base", "fisher.forget", "fisher.retain", "edit"]))
    #expect(try desk.lethe("verify").status == 0)

    let undisturbed = try Desk()
    try undisturbed.write("e.json", Self.experiment)
    let whole = try #require(undisturbed.lethe("run", "e.json", "--json").json()["runs"]?[0])
    #expect(resumed["outputs"] == whole["outputs"])
    #expect(resumed["config_hash"] == whole["config_hash"])
  }
}
