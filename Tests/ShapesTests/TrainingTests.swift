import Configuration
import Diffusion
import Foundation
import Shapes
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct TrainingTests {
  /// A recipe of a few tiny steps, in a folder of its own.
  private func recipe(in folder: String) throws -> ShapesRecipe {
    let files: [String: JSON] = [
      "judge": ["optimization": ["steps": 4, "batch_size": 8, "micro_batches": 2, "warmup": 1]],
      "clip": [
        "optimization": ["steps": 3, "batch_size": 8, "micro_batches": 2, "warmup": 1],
        "network": ["text_width": 16, "vision_width": 16, "vision_layers": 1, "projection": 8],
      ],
      "autoencoder": [
        "optimization": ["steps": 3, "batch_size": 4, "micro_batches": 2, "warmup": 1],
        "network": ["channels": [4, 8, 8], "latent_channels": 4, "norm_groups": 2],
      ],
      "unet": [
        "optimization": ["steps": 4, "batch_size": 4, "micro_batches": 2, "warmup": 1, "average_decay": 0.9],
        "network": ["channels": [16, 16], "norm_groups": 4, "pictures": 64],
      ],
    ]
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (name, json) in files {
      try json.pretty().write(toFile: "\(folder)/\(name).json", atomically: true, encoding: .utf8)
    }
    return try ShapesRecipe(folder: folder)
  }

  private func trained(
    _ training: ShapesTraining, states: String, stopAfter: Int? = nil
  ) throws -> [ShapesPart: Weights] {
    try FileManager.default.createDirectory(atPath: states, withIntermediateDirectories: true)
    var result: [ShapesPart: Weights] = [:]
    for part in ShapesPart.allCases {
      var steps = 0
      let monitor = TrainingMonitor(
        stateFolder: states, report: { _, _, _ in steps += 1 }, shouldStop: { steps == stopAfter })
      do {
        result[part] = try training.train(part, trained: result, monitor)
      } catch is TrainingInterrupted {
        // The next start goes on from the saved state.
        let again = TrainingMonitor(stateFolder: states, report: { _, _, _ in }, shouldStop: { false })
        result[part] = try training.train(part, trained: result, again)
      }
    }
    return result
  }

  @Test func interruptedTrainingGoesOnToTheSameBytesOfEveryPart() throws {
    try withScratchFolder { folder in
      let training = try ShapesTraining(recipe: recipe(in: folder + "/recipe"), workFolder: folder)
      let whole = try trained(training, states: folder + "/whole")
      let interrupted = try trained(training, states: folder + "/interrupted", stopAfter: 2)
      for part in ShapesPart.allCases {
        let (a, b) = (whole[part]?.tensors ?? [], interrupted[part]?.tensors ?? [])
        #expect(!a.isEmpty && a.map(\.name) == b.map(\.name))
        for (x, y) in zip(a, b) { #expect(bits(x.tensor) == bits(y.tensor), "\(part) \(x.name)") }
      }
    }
  }

  @Test func theWrittenFolderOpensAndDraws() throws {
    try withScratchFolder { folder in
      let training = try ShapesTraining(recipe: recipe(in: folder + "/recipe"), workFolder: folder)
      let parts = try trained(training, states: folder + "/states")
      try training.write(parts, to: folder + "/model")
      let model = try DiffusionModel(folder: folder + "/model")
      #expect(model.card?.name == "shapes")
      let sampler = try Sampler(model, SamplerSettings(steps: 2, guidanceScale: 2))
      let request = ImageRequest(prompt: "a red circle", seed: 1)
      let pictures = sampler.pictures(try sampler.denoise(sampler.noise(request), prompts: [request.prompt]))
      #expect(pictures.first?.width == shapesImageSize)
      _ = try JudgeNetwork.load(folder: folder + "/model/judges/attributes")
      _ = try CLIPModel(folder: folder + "/model/judges/clip")
    }
  }

  @Test func theResultDoesNotDependOnTheNumberOfThreads() throws {
    let threads = Parallel.threadCount
    defer { Parallel.threadCount = threads }
    try withScratchFolder { folder in
      let training = try ShapesTraining(recipe: recipe(in: folder + "/recipe"), workFolder: folder)
      func judge(_ name: String) throws -> Weights {
        let states = folder + "/" + name
        try FileManager.default.createDirectory(atPath: states, withIntermediateDirectories: true)
        return try training.train(
          .judge, trained: [:], TrainingMonitor(stateFolder: states, report: { _, _, _ in }, shouldStop: { false }))
      }
      Parallel.threadCount = 1
      let one = try judge("one")
      Parallel.threadCount = 3
      let three = try judge("three")
      for (x, y) in zip(one.tensors, three.tensors) { #expect(bits(x.tensor) == bits(y.tensor), "\(x.name)") }
    }
  }

  @Test(arguments: [
    ("unet", #"{"optimization": {"stepz": 3}}"#, "stepz", "steps"),
    ("unet", #"{"networks": {}}"#, "networks", "network"),
    ("judge", #"{"optimization": {"batch_size": 10, "micro_batches": 4}}"#, "micro_batches", "10"),
    ("clip", #"{"network": {"text_width": "wide"}}"#, "text_width", "clip.json"),
    ("clip", #"{"network": {"text_width": 30}}"#, "network.text_heads", "4 does not divide the text_width 30"),
    ("clip", #"{"network": {"vision_width": 30}}"#, "network.text_heads", "4 does not divide the vision_width 30"),
    ("autoencoder", #"{"network": {"channels": [8, 9]}}"#, "network.norm_groups", "4 does not divide the channels 9"),
    (
      "autoencoder", #"{"network": {"channels": [4, 4, 4, 4, 4, 4, 4]}}"#, "network.channels",
      "7 levels halve a picture of 32 pixels too often"
    ),
    (
      "unet", #"{"network": {"channels": [18], "norm_groups": 2}}"#, "network.heads",
      "4 does not divide the channels 18"
    ),
    ("unet", #"{"network": {"channels": [8], "norm_groups": 16}}"#, "network.norm_groups", "16 does not divide"),
    (
      "unet", #"{"network": {"channels": [16, 16, 16, 16, 16]}}"#, "network.channels",
      "5 levels halve the autoencoder's latents of 8 pixels too often"
    ),
    ("unet", #"{"network": {"pictures": 1000000000000}}"#, "network.pictures", "between 1 and 1000000"),
    ("judge", #"{"optimization": {"beta2": 1}}"#, "optimization.beta2", "below 1"),
  ])
  func aWrongRecipeIsRefusedByFileAndKey(_ c: (part: String, json: String, key: String, also: String)) throws {
    try withScratchFolder { folder in
      _ = try recipe(in: folder)
      try c.json.write(toFile: "\(folder)/\(c.part).json", atomically: true, encoding: .utf8)
      do {
        _ = try ShapesRecipe(folder: folder)
        Issue.record("the recipe was taken")
      } catch {
        #expect("\(error)".contains(c.key) && "\(error)".contains(c.also), "\(error)")
      }
    }
  }
}
