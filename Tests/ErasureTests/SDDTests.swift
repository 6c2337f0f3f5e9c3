import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct SDDTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func trained(_ change: [String: JSON]) throws -> [String: Tensor] {
    let json: [String: JSON] = ["erase_concept": "a", "train_steps": 1, "num_inference_steps": 2, "learning_rate": 0.01]
    return try SDDConfiguration.parse(.object(json.merging(change) { $1 })).estimates(seed: 3)[0]
      .compute(EditContext(model: model, seed: 3))
  }

  @Test func theResultIsTheMovingAverage() throws {
    let none = try trained(["ema_decay": 1])
    let student = try trained(["ema_decay": 0])
    let half = try trained(["ema_decay": 0.5])
    for (name, tensor) in half {
      let (start, end) = (try #require(model.unetWeights[name]), try #require(student[name]))
      #expect(relativeError(try #require(none[name]), start) < 1e-6)
      #expect(relativeError(tensor, (start + end) * 0.5) < 1e-5)
    }
    #expect(student.contains { bits($0.value) != model.unetWeights[$0.key].map(bits) })
  }

  @Test func isTheSameForAnyNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    let json: [String: JSON] = ["train_steps": 3, "batch_size": 3, "ema_decay": 0.5, "concept_method": "random"]
    Parallel.threadCount = 1
    let one = try trained(json)
    Parallel.threadCount = 3
    let three = try trained(json)
    for (name, tensor) in one { #expect(three[name].map(bits) == bits(tensor)) }
  }

  @Test func concentratesOnItsConceptsInTurn() {
    func places(_ method: SDDConfiguration.ConceptMethod) -> [Int] {
      (0..<6).map { method.place(at: $0, of: 6, concepts: 3, RandomStream(seed: 0, "t").item($0)) }
    }
    #expect(places(.iterative) == [0, 1, 2, 0, 1, 2])
    #expect(places(.sequential) == [0, 0, 1, 1, 2, 2])
    #expect(places(.composite) == [0, 0, 0, 0, 0, 0])
    #expect(places(.random).allSatisfy { (0..<3).contains($0) })
  }

  @Test func warnsOfAnAverageThatStaysBehind() throws {
    #expect(try SDDConfiguration.parse(["train_steps": 100]).warnings.count == 1)
    #expect(try SDDConfiguration.parse([:]).warnings.isEmpty)
  }
}
