public import Configuration
public import Diffusion
internal import Foundation
public import Tensors

/// What concept ablation trains on and towards (Kumari et al., ICCV 2023, arXiv 2303.13516): images of an anchor
/// concept, and prompts that name the erased concept in its place. ``ACConfiguration`` follows it with weights, P-AC
/// with masks.
public struct ConceptAblation {
  /// What the noise predicted under the concept's prompt is drawn to.
  public enum LossType: String, CaseIterable, ConfigurationValue {
    /// The noise predicted under the anchor prompt in the same latent.
    case modelBased = "model-based"
    /// The noise itself: the concept's prompt is taught the anchor's images.
    case noiseBased = "noise-based"
  }

  /// Whose prediction under the anchor prompt is the target of the model-based loss.
  public enum AnchorModel: String, CaseIterable, ConfigurationValue {
    /// The model as it is at that step, without a gradient (both public repositories).
    case current
    /// The model before the edit (P-AC's paper, equation 3).
    case original
  }

  public var concept: String
  /// What the concept takes the place of in anchor prompts; "*" stands for the whole prompt.
  public var anchor: String
  /// A style is added to anchor prompts in one of three phrases, everything else replaces the anchor's words.
  public var conceptType: ConceptType
  public var anchorPrompts: [String]
  public var lossType: LossType
  /// The weight of the denoising loss on anchor images under anchor prompts; nil leaves that loss out.
  public var priorWeight: Float?

  public init(
    concept: String, anchor: String, conceptType: ConceptType, anchorPrompts: [String], lossType: LossType,
    priorWeight: Float?
  ) {
    self.concept = concept
    self.anchor = anchor
    self.conceptType = conceptType
    self.anchorPrompts = anchorPrompts
    self.lossType = lossType
    self.priorWeight = priorWeight
  }

  /// The prompts that name the concept where `anchorPrompt` names the anchor; for a style one for each phrase.
  ///
  /// - Throws: ``ErasureError`` where the prompt does not name the anchor that the concept takes the place of.
  public func targetPrompts(_ anchorPrompt: String) throws(ErasureError) -> [String] {
    if conceptType == .style {
      return [
        "\(anchorPrompt), in the style of \(concept)", "in \(concept)'s style, \(anchorPrompt)",
        "in \(concept) style, \(anchorPrompt)",
      ]
    }
    if anchor == "*" { return [concept] }
    guard anchorPrompt.range(of: anchor, options: .caseInsensitive) != nil else {
      throw ErasureError(
        "the anchor prompt \"\(anchorPrompt)\" does not contain the anchor concept \"\(anchor)\", "
          + "which \"\(concept)\" is to take the place of")
    }
    return [anchorPrompt.replacingOccurrences(of: anchor, with: concept, options: .caseInsensitive)]
  }
}

/// The loss of ``ConceptAblation`` on a model's drawn anchor images.
///
/// What is trained is some of the UNet's weights, by their names, or the embeddings of the concept's words, under
/// ``rows``.
public struct AblationObjective {
  /// What reads a prompt and predicts noise: the model as it is at some time of training.
  public struct Predictor {
    fileprivate let unet: UNet2DConditionModel
    /// The states of a prompt, (1, positions, width).
    fileprivate let states: (Prompt) -> Tensor
  }

  fileprivate struct Prompt {
    /// Of all positions.
    let ids: [Int]
    /// What the original text encoder makes of them, (1, positions, width).
    let states: Tensor
  }

  /// The name of the embeddings of the concept's words among the trained tensors.
  public static let rows = "embeddings of the concept's tokens"

  private let ablation: ConceptAblation
  private let anchorModel: ConceptAblation.AnchorModel
  private let model: DiffusionModel
  private let latents: Tensor
  private let augmented: AugmentedLatents?
  private let words: ConceptEmbedding?
  private let prompts: [(anchor: Prompt, targets: [Prompt])]

  /// - Parameters:
  ///   - latents: what ``GeneratedLatents`` drew from the anchor prompts
  ///   - words: the embeddings to train in place of weights of the UNet
  /// - Throws: ``ErasureError`` for an anchor prompt that does not name the anchor, and one in which nothing of `words`
  ///   comes to stand.
  public init(
    _ settings: AblationSettings, _ model: DiffusionModel, latents: Tensor, words: ConceptEmbedding? = nil
  ) throws {
    let ablation = settings.ablation
    self.ablation = ablation
    self.model = model
    self.latents = latents
    self.words = words
    anchorModel = settings.anchorModel
    let augmentation = settings.augmentation
    augmented = augmentation.isActive ? try AugmentedLatents(augmentation, latents, model.vae) : nil
    func prompt(_ text: String) -> Prompt {
      let ids = model.tokenizer.encode(text)
      return Prompt(ids: ids, states: model.textEncoder([ids]))
    }
    prompts = try ablation.anchorPrompts.map { text in
      let targets = try ablation.targetPrompts(text).map { text in
        let target = prompt(text)
        guard words?.isNamed(in: target.ids) != false else {
          throw ErasureError(
            "the prompt \"\(text)\" has no token of \"\(ablation.concept)\" that the model reads, so their embeddings "
              + "cannot learn from it")
        }
        return target
      }
      return (anchor: prompt(text), targets: targets)
    }
  }

  /// The model before training.
  public var original: Predictor { Predictor(unet: model.unet, states: { $0.states }) }

  /// The model whose prediction under the anchor prompt is the target.
  ///
  /// - Parameter tensors: what is trained, as it is at a step
  public func anchor(_ tensors: [String: Tensor]) throws -> Predictor {
    anchorModel == .current ? try predictor(tensors) : original
  }

  private func predictor(_ tensors: [String: Tensor]) throws -> Predictor {
    guard let words else {
      return Predictor(
        unet: try UNet2DConditionModel(model.unet.config, model.unetWeights.replacing(tensors)),
        states: { $0.states })
    }
    guard let rows = tensors[Self.rows] else { preconditionFailure("no embeddings to train") }
    return Predictor(unet: model.unet) { prompt in
      words.isNamed(in: prompt.ids) ? words.states(prompt.ids, rows: rows) : prompt.states
    }
  }

  /// The loss of one sample: an anchor image, noise at a timestep uniform over the training timesteps, and the model's
  /// prediction under the concept's prompt. Of an augmented image it is the mean over what the validity mask keeps; the
  /// images of prior preservation are not augmented, as in the script.
  ///
  /// - Parameters:
  ///   - tensors: what is trained, on its tape
  ///   - anchor: what ``anchor(_:)`` made of them before the step
  ///   - stream: the random numbers of this sample alone
  public func loss(
    of tensors: [String: Tensor], anchor: Predictor, _ stream: RandomStream
  ) throws -> Tensor {
    let trained = try predictor(tensors)
    let (sample, mask) =
      augmented?.sample(model.schedule, stream) ?? (NoisedSample(latents, model.schedule, stream), nil)
    let (anchorPrompt, targets) = prompts[sample.image % prompts.count]
    let target = targets[targets.count > 1 ? stream.substream("phrase").integer(below: targets.count) : 0]
    let goal: Tensor
    switch ablation.lossType {
    case .noiseBased: goal = sample.noise
    case .modelBased: goal = predict(anchor, sample, anchorPrompt)
    }
    let loss = Self.meanSquaredError(predict(trained, sample, target), goal, mask)
    guard let weight = ablation.priorWeight else { return loss }
    let kept = NoisedSample(latents, model.schedule, stream.substream("prior"))
    return loss + mseLoss(predict(trained, kept, prompts[kept.image % prompts.count].anchor), kept.noise) * weight
  }

  /// Σ mask · (x - y)² / Σ mask, the mask counted in every channel.
  private static func meanSquaredError(_ x: Tensor, _ y: Tensor, _ mask: Tensor?) -> Tensor {
    guard let mask else { return mseLoss(x, y) }
    return ((x - y).square() * mask).sum() * (1 / (mask.sum().item * Float(x.shape[1])))
  }

  /// The noise. Both public repositories keep the keys and values of the begin token as they are.
  private func predict(_ model: Predictor, _ sample: NoisedSample, _ prompt: Prompt) -> Tensor {
    let unet = model.unet
    let predicted = unet(
      sample.latent, time: unet.prepare(timesteps: [sample.timestep]),
      text: unet.prepare(text: model.states(prompt)).detachingFirst(1))
    return self.model.schedule.noise(predicted: predicted, in: sample.latent, timestep: sample.timestep)
  }
}
