import Tensors
import TestSupport
import Testing

@Suite("Optimisers")
struct OptimizerTests {
  private let names = ["a", "b"]
  private let steps = 5

  private func start(_ file: SafetensorsFile) throws -> [(name: String, tensor: Tensor)] {
    try names.map { ($0, try file.tensor("start.\($0)")) }
  }

  private func gradients(_ step: Int, _ file: SafetensorsFile) throws -> [Tensor] {
    try names.map { try file.tensor("gradient.\(step).\($0)") }
  }

  @Test("Adam and AdamW take PyTorch's steps", arguments: ["adam", "adamw"])
  func steps(_ kind: String) throws {
    let file = try Fixtures.tensors("optimisers.safetensors")
    let settings =
      kind == "adam"
      ? AdamOptimizer.Settings()
      : AdamOptimizer.Settings(beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weightDecay: 0.1, decouplesWeightDecay: true)
    let optimizer = AdamOptimizer(try start(file), settings)
    for step in 0..<steps {
      optimizer.step(try gradients(step, file), learningRate: 0.01)
      for (name, tensor) in optimizer.parameters {
        #expect(relativeError(tensor, try file.tensor("\(kind).\(step).\(name)")) <= 1e-6, "step \(step), \(name)")
      }
    }
    #expect(optimizer.stepCount == steps)
  }

  @Test("clipping by the global norm takes PyTorch's steps and leaves small gradients alone")
  func clipping() throws {
    let file = try Fixtures.tensors("optimisers.safetensors")
    let optimizer = AdamOptimizer(try start(file))
    for step in 0..<steps {
      let gradients = try gradients(step, file)
      let (scale, norm) = clippingScale(gradients, maximum: 2)
      #expect(abs(norm / (try file.tensor("clipped.norm.\(step)").item) - 1) < 1e-6)
      #expect((scale == 1) == (norm <= 2))
      for (name, gradient) in zip(names, gradients) {
        #expect(relativeError(gradient * scale, try file.tensor("clipped.gradient.\(step).\(name)")) <= 1e-6)
      }
      optimizer.step(gradients, learningRate: 0.01, scale: scale)
      for (name, tensor) in optimizer.parameters {
        #expect(relativeError(tensor, try file.tensor("clipped.\(step).\(name)")) <= 1e-6, "step \(step), \(name)")
      }
    }
  }

  @Test("training goes on from saved state with the same bytes")
  func restoring() throws {
    let file = try Fixtures.tensors("optimisers.safetensors")
    let whole = AdamOptimizer(try start(file))
    for step in 0..<steps { whole.step(try gradients(step, file), learningRate: 0.01) }

    let first = AdamOptimizer(try start(file))
    for step in 0..<2 { first.step(try gradients(step, file), learningRate: 0.01) }
    try withScratchFolder { folder in
      let path = folder + "/state.safetensors"
      try Safetensors.write(first.state, to: path)
      let second = AdamOptimizer(names.map { ($0, Tensor.zeros($0 == "a" ? [3, 4] : [5])) })
      try second.restore(SafetensorsFile(path), stepCount: first.stepCount)
      for step in 2..<steps { second.step(try gradients(step, file), learningRate: 0.01) }
      for (a, b) in zip(whole.parameters, second.parameters) { #expect(bits(a.tensor) == bits(b.tensor)) }

      let other = AdamOptimizer([("c", Tensor.zeros([2]))])
      #expect(throws: WeightsError.self) { try other.restore(SafetensorsFile(path), stepCount: 2) }
    }
  }

  @Test("a training state that counts no steps is refused", arguments: [["step": "-1"], ["step": "many"], [:]])
  func wrongSteps(_ metadata: [String: String]) throws {
    try withScratchFolder { folder in
      let path = folder + "/state.safetensors"
      let weights = Weights(["w": Tensor.zeros([2])], source: "test")
      try Safetensors.write([("w", Tensor.zeros([2]))], to: path, metadata: metadata)
      let trainer = Trainer(weights, Trainer.Settings(steps: 3, learningRate: 0.1))
      let error = try #require(throws: SafetensorsError.self) { try trainer.resume(from: path) }
      #expect(error.description.contains("is no training state"))
    }
  }

  @Test("a step has the same bytes however many micro-batches' gradients are held at a time", arguments: [1, 2, 4])
  func microBatchesAtATime(_ count: Int) throws {
    func trained(_ atATime: Int) throws -> (weights: [UInt32], losses: [Float]) {
      let trainer = Trainer(
        Weights(["w": RandomStream(seed: 1, "weights").normal([7])], source: "test"),
        Trainer.Settings(steps: 3, learningRate: 0.1, microBatches: 5, microBatchesAtATime: atATime))
      let losses = try (0..<3).map { _ in
        try trainer.advance { batch, weights in
          (try #require(weights["w"]) * RandomStream(seed: 2, "data").item(batch).normal([7])).square().sum()
        }.loss
      }
      return (bits(try #require(trainer.weights["w"])), losses)
    }
    let (all, some) = (try trained(.max), try trained(count))
    #expect(all.weights == some.weights && all.losses == some.losses)
  }

  @Test("an optimiser leaves the tensors it started from alone")
  func startingValues() throws {
    let weight = Tensor.ones([3])
    let optimizer = AdamOptimizer([("w", weight)])
    optimizer.step([Tensor.ones([3])], learningRate: 0.5)
    #expect(weight.values == [1, 1, 1])
    #expect(optimizer.parameters[0].tensor.values != [1, 1, 1])
  }

  @Test("the moving average ramps up: d = min(decay, (1 + n) / (10 + n))")
  func movingAverage() {
    let average = ExponentialMovingAverage([("w", Tensor([0], shape: [1]))], decay: 0.15)
    var expected = 0.0
    for (n, value) in [10.0, -4, 3].enumerated() {
      let decay = min(0.15, Double(1 + n) / Double(10 + n))
      expected = decay * expected + (1 - decay) * value
      average.update([("w", Tensor([Float(value)], shape: [1]))])
      #expect(abs(Double(average.parameters[0].tensor.item) - expected) < 1e-5)
    }
    #expect(average.updateCount == 3)
  }

  @Test("without a ramp the moving average has its decay from the beginning")
  func movingAverageWithoutRamp() {
    let average = ExponentialMovingAverage([("w", Tensor([1], shape: [1]))], decay: 0.75, rampsUp: false)
    average.update([("w", Tensor([3], shape: [1]))])
    #expect(average.parameters[0].tensor.item == 1.5)
  }

  @Test("the learning rate warms up, holds and falls along a half cosine")
  func schedule() {
    let schedule = LearningRateSchedule.warmupCosine(warmup: 10, hold: 0.5, final: 0.1)
    func rate(_ step: Int) -> Double { schedule.rate(step: step, of: 100, peak: 2) }
    #expect(rate(0) == 0.2 && rate(9) == 2 && rate(10) == 2 && rate(49) == 2 && rate(50) == 2)
    #expect(abs(rate(75) - 1.1) < 1e-12)
    #expect(abs(rate(100) - 0.2) < 1e-12)
    #expect((50..<100).allSatisfy { rate($0 + 1) < rate($0) })
    #expect(LearningRateSchedule.constant.rate(step: 3, of: 10, peak: 0.5) == 0.5)
    #expect(LearningRateSchedule.warmupCosine(warmup: 0).rate(step: 0, of: 10, peak: 1) == 1)
  }
}
