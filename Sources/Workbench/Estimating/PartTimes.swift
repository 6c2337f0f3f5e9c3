public import Configuration
internal import Diffusion
internal import Erasure
internal import Tensors

/// What one run of each part of a model takes on this machine when all threads are at work, in seconds. Each is timed
/// when it is first asked for, so that nothing is timed in vain.
public final class PartTimes {
  private let model: DiffusionModel
  private var measured: [String: Double] = [:]

  init(_ model: DiffusionModel) { self.model = model }

  func seconds(_ work: ModelWork) throws -> Double {
    var seconds = 0.0
    if work.forwards > 0 { seconds += try forward * work.forwards }
    if work.gradients > 0 { seconds += try gradient * work.gradients }
    if work.decodings > 0 { seconds += try decoding * work.decodings }
    if work.encodings > 0 { seconds += try encoding * work.encodings }
    return seconds
  }

  /// A pass of one latent under one text through the UNet.
  public var forward: Double {
    get throws {
      let (noise, text) = (noise, model.unet.prepare(text: model.textEncoder([ids, ids])))
      let time = model.unet.prepare(timesteps: [timestep])
      return try each("forward", count: 2 * threads) {
        _ = try parallelMap(threads) { _ in model.unet(noise, time: time, text: text) }
      }
    }
  }

  /// The same with the gradients of all weights.
  public var gradient: Double {
    get throws {
      let fisher = FisherInformation(
        prompts: [""], samplesPerPrompt: threads, sampler: SamplerSettings(), seed: 0, latentSource: .gaussian)
      return try each("gradient", count: threads) { _ = try fisher.diagonal(model, monitor: WorkMonitor()) }
    }
  }

  /// A latent that becomes a picture.
  public var decoding: Double {
    get throws {
      let noise = noise
      return try each("decoding", count: threads) {
        _ = try parallelMap(threads) { _ in model.vae.decode(scaled: noise) }
      }
    }
  }

  /// A text that the text encoder reads, four at a time.
  public var encoding: Double {
    get throws {
      let texts = Array(repeating: ids, count: 4)
      return try each("encoding", count: 4 * threads) {
        _ = try parallelMap(threads) { _ in model.textEncoder(texts) }
      }
    }
  }

  /// All of them as `lethe bench` prints them.
  public var json: JSON {
    get throws {
      try [
        "forward": .number(forward), "gradient": .number(gradient), "decoding": .number(decoding),
        "encoding": .number(encoding), "threads": .integer(threads),
      ]
    }
  }

  private var threads: Int { Parallel.threadCount }
  private var ids: [Int] { model.tokenizer.encode("") }
  private var timestep: Int { model.schedule.trainTimesteps / 2 }

  private var noise: Tensor {
    let size = model.unet.config.sampleSize
    return RandomStream(seed: 0, "measurement").normal([1, model.unet.config.inChannels, size, size])
  }

  /// A run that takes longer than so many seconds is its own measurement; a shorter one only warms up.
  private static let patience = 0.5

  /// The seconds of one of `count` pieces of some work: the median of three times, after one that is not counted.
  private func each(_ name: String, count: Int, _ work: () throws -> Void) throws -> Double {
    if let known = measured[name] { return known }
    func seconds() throws -> Double { try ContinuousClock().measure(work).inSeconds / Double(count) }
    let first = try seconds()
    let result =
      first * Double(count) > Self.patience ? first : try [seconds(), seconds(), seconds()].median
    measured[name] = result
    return result
  }
}

/// The times of the models that have been asked about: each is loaded and timed once.
public final class ModelTimes {
  private var known: [String: PartTimes] = [:]

  public init() {}

  func times(of base: BaseModel, load: () throws -> DiffusionModel) rethrows -> PartTimes {
    if let times = known[base.identity] { return times }
    let times = PartTimes(try load())
    known[base.identity] = times
    return times
  }
}
