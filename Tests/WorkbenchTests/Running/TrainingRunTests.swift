import Configuration
import Shapes
import Store
import TestSupport
import Testing
import Workbench

@Suite("Training as a run")
struct TrainingRunTests {
  @Test("a repository that cannot be read costs a training a warning and not its result")
  func damagedRepository() throws {
    let repository = try TemporaryRepository()
    try repository.write("a.txt", "one\n")
    try repository.commit()
    try repository.write(".git/refs/heads/main", String(repeating: "1", count: 40) + "\n")
    for part in ShapesPart.allCases { try repository.write("\(part.rawValue).json", "{}") }
    let tiny: [(keyPath: String, value: JSON)] = [
      ("judge.optimization.batch_size", 2), ("judge.optimization.micro_batches", 1),
    ]
    try withScratchFolder { folder in
      let store = try Store.open(folder + "/store")
      let training = TrainingRun(
        store: store, recipe: try ShapesRecipe(folder: repository.path, overrides: tiny),
        recipeFolder: repository.path)
      var warnings: [String] = []
      // Stopped after its first step: what is tested comes before.
      let outcome = try training.run(
        to: folder + "/model", isCancelled: { true }, report: { _, _, _, _ in },
        handle: { if case .warning(let sentence) = $0 { warnings.append(sentence) } })
      #expect(outcome.record.status == .interrupted)
      #expect(warnings.count == 1 && warnings[0].hasPrefix("cannot read the commit at the HEAD of"))
      #expect(outcome.record.warnings == warnings)
      #expect(outcome.record.git.repository == .none)
    }
  }
}
