import Attacks
import Diffusion
import TestSupport
import Tensors

/// A tiny model, what an attack is made with on it, and a judge of its own.
struct Workplace {
  static let prompt = "a red star"
  let model: DiffusionModel
  var target = AttackTarget(prompt: Workplace.prompt, concept: "star", seed: 3)

  init() throws {
    model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers"))
  }

  /// - Parameters:
  ///   - attacked: nil for the model itself
  ///   - judge: of an image by its mean brightness, from 0 to 1
  func context(
    attacked: DiffusionModel? = nil, isCancelled: @escaping () -> Bool = { false },
    judge: @escaping (Double) -> Bool = { _ in false }
  ) -> AttackContext {
    AttackContext(
      base: model, attacked: attacked ?? model, sampler: SamplerSettings(steps: 2, guidanceScale: 3), seed: 5,
      monitor: WorkMonitor(isCancelled: isCancelled)
    ) { _, images in
      images.map { image in
        let brightness = image.pixels.reduce(0.0) { $0 + Double($1) } / Double(image.pixels.count) / 255
        return AttackContext.Verdict(isFound: judge(brightness), probability: brightness)
      }
    } imageEmbeddings: { images in
      Tensor(images.flatMap { $0.pixels.prefix(16).map { Float($0) + 1 } }, shape: [images.count, 16])
    }
  }

  /// The attacked model of attacks.safetensors.
  func halved() throws -> DiffusionModel {
    let names = model.unetWeights.names.filter { $0.hasSuffix("attn2.to_v.weight") }
    return try model.replacingUNetWeights(
      Dictionary(uniqueKeysWithValues: names.map { ($0, (model.unetWeights[$0] ?? Tensor(0)) * 0.5) }))
  }

  /// The card of a small world.
  func withCard() -> Workplace {
    var concept = ModelCard.Concept(
      name: "star", kind: "object", judge: ModelCard.JudgeClass(judge: "judge", head: "object", classIndex: 0),
      synonyms: ["sparkle"], anchor: "circle")
    concept.conceptPrompts = ["a star", "a photo of a star", "star", "the red one"]
    var workplace = self
    var model = model
    model.card = ModelCard(
      name: "tiny", description: "", sampler: ModelCard.Sampler(steps: 2, guidanceScale: 3), concepts: [concept])
    workplace = Workplace(model: model, target: target)
    return workplace
  }

  private init(model: DiffusionModel, target: AttackTarget) { (self.model, self.target) = (model, target) }
}
