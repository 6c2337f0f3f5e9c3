internal import Configuration
internal import Diffusion
public import Tensors

/// What the parts of a diffusion model compute from given inputs: `benchmarks/parity_sd.py` sets it beside diffusers.
///
/// Inputs and outputs are named after the part, float32 all of them:
/// - `text`: `text.ids` (prompts, positions); gives `text.states`
/// - `unet`: `unet.latents`, `unet.timesteps` (batch), `unet.states`; gives `unet.noise`
/// - `vae-decode`: `decode.latents`; gives `decode.images`
/// - `vae-encode`: `encode.images`; gives `encode.mean` and `encode.logvar`
/// - `step`, one guided DDIM step: `step.latents` (one item), `step.states` (without the prompt, then with it),
///   `step.timestep`, `step.steps`, `step.guidance_scale`; gives `step.latents`
/// - `gradients`, of the noise-prediction loss: `gradients.latents`, `gradients.noise`, `gradients.timesteps`,
///   `gradients.states`; gives `gradients.loss`, and `gradients.NAME` for each weight asked for
public struct PartComputation {
  public enum Part: String, Sendable, CaseIterable {
    case text, unet
    case vaeDecode = "vae-decode"
    case vaeEncode = "vae-encode"
    case step, gradients
  }

  public var parts: [Part]
  /// The UNet's weights whose gradients of the noise-prediction loss are computed, by full name.
  public var gradientsOf: [String]

  public init(_ parts: [Part], gradientsOf: [String] = []) {
    self.parts = parts
    self.gradientsOf = gradientsOf
  }

  /// - Parameters:
  ///   - folder: a diffusers folder or a single file; a part is read when it is needed, and dropped after that
  ///   - inputs: a file with the inputs of all parts that were asked for
  ///   - monitor: progress in parts
  /// - Throws: ``PartInputError`` for an input that does not fit, the error of a file that cannot be read or changed
  ///   meanwhile, or `CancellationError` between two parts.
  public func run(
    folder: String, inputs: SafetensorsFile, monitor: WorkMonitor
  ) throws -> [(name: String, tensor: Tensor)] {
    let stamps = try FileStamps(ofModel: folder)
    let inputs = PartInputs(file: inputs)
    var outputs: [(name: String, tensor: Tensor)] = []
    for (done, part) in parts.enumerated() {
      try monitor.advance(to: done, of: parts.count)
      switch part {
      case .text: outputs.append(("text.states", try textStates(folder, inputs)))
      case .unet: outputs.append(("unet.noise", try noise(folder, inputs)))
      case .vaeDecode: outputs.append(("decode.images", try images(folder, inputs)))
      case .vaeEncode:
        let posterior = try posterior(folder, inputs)
        outputs += [("encode.mean", posterior.mean), ("encode.logvar", posterior.logVariance)]
      case .step: outputs.append(("step.latents", try step(folder, inputs)))
      case .gradients: outputs += try gradients(folder, inputs)
      }
    }
    try monitor.advance(to: parts.count, of: parts.count)
    try stamps.confirmUnchanged()
    return outputs
  }

  private func textStates(_ folder: String, _ inputs: PartInputs) throws -> Tensor {
    let encoder = try CLIPTextModel.read(folder: folder).model
    let ids = try inputs.tensor("text.ids", [nil, encoder.config.maxPositions])
    let rows = try inputs.integers("text.ids", count: ids.count, below: encoder.config.vocabularySize)
    let length = encoder.config.maxPositions
    return encoder(stride(from: 0, to: rows.count, by: length).map { Array(rows[$0..<$0 + length]) })
  }

  private func noise(_ folder: String, _ inputs: PartInputs) throws -> Tensor {
    let unet = try UNet2DConditionModel.read(folder: folder).model
    let latents = try inputs.latents("unet.latents", unet)
    let timesteps = try inputs.integers("unet.timesteps", count: latents.shape[0], below: .max)
    let states = try inputs.tensor("unet.states", [latents.shape[0], nil, unet.config.crossAttentionSize])
    return unet(latents, timesteps: timesteps, encoderHiddenStates: states)
  }

  private func images(_ folder: String, _ inputs: PartInputs) throws -> Tensor {
    let vae = try AutoencoderKL.read(folder: folder).model
    return vae.decode(try inputs.tensor("decode.latents", [nil, vae.config.latentChannels, nil, nil]))
  }

  private func posterior(_ folder: String, _ inputs: PartInputs) throws -> AutoencoderKL.Posterior {
    let vae = try AutoencoderKL.read(folder: folder).model
    let images = try inputs.tensor("encode.images", [nil, vae.config.inChannels, nil, nil])
    guard images.shape[2] % vae.config.reduction == 0, images.shape[3] % vae.config.reduction == 0 else {
      throw inputs.error(
        "encode.images", "has the shape \(images.shape); height and width are multiples of \(vae.config.reduction)")
    }
    return vae.encode(images)
  }

  /// As the sampler does it: both halves of guidance in one batch that begins as one item.
  private func step(_ folder: String, _ inputs: PartInputs) throws -> Tensor {
    let unet = try UNet2DConditionModel.read(folder: folder).model
    let scheduler = try DDIMScheduler.read(folder: folder)
    let latents = try inputs.latents("step.latents", unet)
    guard latents.shape[0] == 1 else { throw inputs.error("step.latents", "has \(latents.shape[0]) items, not 1") }
    let states = try inputs.tensor("step.states", [2, nil, unet.config.crossAttentionSize])
    let timestep = try inputs.integers("step.timestep", count: 1, below: scheduler.schedule.trainTimesteps)[0]
    let steps = try inputs.integers("step.steps", count: 1, below: scheduler.schedule.trainTimesteps + 1)[0]
    let scale = try inputs.tensor("step.guidance_scale", [1]).item
    guard steps > 0 else { throw inputs.error("step.steps", "is 0; at least one step was expected") }
    let predicted = unet(latents, time: unet.prepare(timesteps: [timestep]), text: unet.prepare(text: states))
    let (without, with) = (predicted.slice(axis: 0, 0..<1), predicted.slice(axis: 0, 1..<2))
    return scheduler.step(without + (with - without) * scale, sample: latents, timestep: timestep, steps: steps)
  }

  private func gradients(_ folder: String, _ inputs: PartInputs) throws -> [(name: String, tensor: Tensor)] {
    let (model, weights) = try UNet2DConditionModel.read(folder: folder)
    let tape = Tape()
    var tracked: [String: Tensor] = [:]
    for name in gradientsOf {
      guard let weight = weights[name] else {
        throw PartInputError(
          description: "\(weights.source): has no weight '\(name)'" + suggestion(for: name, among: weights.names))
      }
      tracked[name] = tape.watch(weight)
    }
    let latents = try inputs.latents("gradients.latents", model)
    let noise = try inputs.tensor("gradients.noise", latents.shape)
    let scheduler = try DDIMScheduler.read(folder: folder)
    let timesteps = try inputs.integers(
      "gradients.timesteps", count: latents.shape[0], below: scheduler.schedule.trainTimesteps)
    let states = try inputs.tensor("gradients.states", [latents.shape[0], nil, model.config.crossAttentionSize])
    let unet = try UNet2DConditionModel(model.config, weights.replacing(tracked))
    let noisy = scheduler.schedule.addNoise(latents, noise: noise, timesteps: timesteps)
    let loss = mseLoss(unet(noisy, timesteps: timesteps, encoderHiddenStates: states), noise)
    let found = tape.gradients(of: loss, for: gradientsOf.compactMap { tracked[$0] })
    return [("gradients.loss", loss.detached)] + zip(gradientsOf, found).map { ("gradients.\($0)", $1) }
  }
}

/// An input of a ``PartComputation`` that does not fit the model, in one sentence.
public struct PartInputError: Error, Equatable, CustomStringConvertible {
  public let description: String
}

/// The inputs, checked against what a part asks for: shapes that do not fit would stop the program.
private struct PartInputs {
  let file: SafetensorsFile

  func error(_ name: String, _ problem: String) -> PartInputError {
    PartInputError(description: "\(file.path): '\(name)' \(problem)")
  }

  /// - Parameter shape: nil for any extent
  func tensor(_ name: String, _ shape: [Int?]) throws -> Tensor {
    let tensor = try file.tensor(name)
    guard tensor.rank == shape.count, tensor.count > 0, zip(tensor.shape, shape).allSatisfy({ $0 == $1 ?? $0 }) else {
      let asked = shape.map { $0.map { "\($0)" } ?? "any" }.joined(separator: ", ")
      throw error(name, "has the shape \(tensor.shape), the model asks for [\(asked)]")
    }
    return tensor
  }

  func latents(_ name: String, _ unet: UNet2DConditionModel) throws -> Tensor {
    let latents = try tensor(name, [nil, unet.config.inChannels, nil, nil])
    guard latents.shape[2] % unet.resolution == 0, latents.shape[3] % unet.resolution == 0 else {
      throw error(name, "has the shape \(latents.shape); height and width are multiples of \(unet.resolution)")
    }
    return latents
  }

  /// Whole numbers, which the file keeps as float32.
  func integers(_ name: String, count: Int, below limit: Int) throws -> [Int] {
    let values = try file.tensor(name).values
    guard values.count == count else { throw error(name, "has \(values.count) values, not \(count)") }
    return try values.map { value in
      guard let number = Int(exactly: value), (0..<limit).contains(number) else {
        throw error(name, "has the value \(value); whole numbers from 0 below \(limit) were expected")
      }
      return number
    }
  }
}
