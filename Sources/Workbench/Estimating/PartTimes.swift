public import Configuration
internal import Diffusion
internal import Erasure
internal import Tensors

/// What one run of each part of a model takes on this machine when all threads are at work, in seconds. Nothing is
/// timed before it is asked for, nor twice.
///
/// Timing takes no more memory than what is timed: of a large model one latent at a time is under way and the threads
/// share its layers, where a run may have one under way on each thread; and none of its weights' gradients is held.
public final class PartTimes {
  /// A part, in the order of timing.
  enum Part: CaseIterable {
    case forward, gradient, decoding, encoding
  }

  private let model: DiffusionModel
  private let name: String
  private let progress: (TimingProgress) -> Void
  private var measured: [Part: Double] = [:]
  /// Operations of a second, as far as can be told: those of the part that was timed last, and before there is one of
  /// small products; a model that is not large is timed before these would be.
  private lazy var pace = isLarge ? ProductSpeed.operationsPerSecond(size: 1024, repeats: 1) : 1e11

  /// - Parameters:
  ///   - name: what the model is called where progress is told
  ///   - progress: told before each part, and when all is done
  init(_ model: DiffusionModel, name: String, progress: @escaping (TimingProgress) -> Void) {
    (self.model, self.name, self.progress) = (model, name, progress)
  }

  func seconds(_ work: ModelWork) throws -> Double {
    try measure(work.parts)
    var seconds = 0.0
    if work.forwards > 0 { seconds += try forward * work.forwards }
    if work.gradients > 0 { seconds += try gradient * work.gradients }
    if work.decodings > 0 { seconds += try decoding * work.decodings }
    if work.encodings > 0 { seconds += try encoding * work.encodings }
    return seconds
  }

  /// A pass of one latent under one text through the UNet.
  public var forward: Double { get throws { try seconds(.forward) } }

  /// The same with the gradients of all weights.
  public var gradient: Double { get throws { try seconds(.gradient) } }

  /// A latent that becomes a picture.
  public var decoding: Double { get throws { try seconds(.decoding) } }

  /// A text that the text encoder reads, four at a time.
  public var encoding: Double { get throws { try seconds(.encoding) } }

  /// All of them as `lethe bench` prints them.
  public var json: JSON {
    get throws {
      try measure(Set(Part.allCases))
      return try [
        "forward": .number(forward), "gradient": .number(gradient), "decoding": .number(decoding),
        "encoding": .number(encoding), "threads": .integer(threads),
      ]
    }
  }

  private func seconds(_ part: Part) throws -> Double {
    try measure([part])
    return measured[part] ?? 0
  }

  /// Times those of some parts that have not been timed yet.
  func measure(_ parts: Set<Part>) throws {
    // What a gradient takes is told with the time of a pass forward.
    let needed = parts.contains(.gradient) ? parts.union([.forward]) : parts
    let open = Part.allCases.filter { needed.contains($0) && measured[$0] == nil }
    guard !open.isEmpty else { return }
    defer { progress(TimingProgress(model: name, expected: 0, after: 0)) }
    for (index, part) in open.enumerated() {
      let after = open[(index + 1)...].reduce(0) { $0 + operations($1) }
      progress(TimingProgress(model: name, expected: operations(part) / pace, after: after / pace))
      let began = ContinuousClock.now
      measured[part] = try time(part)
      pace = operations(part) / began.duration(to: .now).inSeconds
    }
  }

  private func time(_ part: Part) throws -> Double {
    switch part {
    case .forward:
      let text = model.unet.prepare(text: model.textEncoder([ids, ids]))
      let time = model.unet.prepare(timesteps: [timestep])
      // Weights that come from the disk would be timed with the first pass: this one reads them all.
      if isLarge { _ = model.unet(noise(model.unet.resolution), time: time, text: text) }
      let latent = noise(model.unet.config.sampleSize)
      return each(2 * together) { parallelFor(together) { _ in _ = model.unet(latent, time: time, text: text) } }
    case .gradient:
      if isLarge { return try largeGradient }
      let fisher = FisherInformation(
        prompts: [""], samplesPerPrompt: threads, sampler: SamplerSettings(), seed: 0, latentSource: .gaussian)
      return try each(threads) { _ = try fisher.diagonal(model, monitor: WorkMonitor()) }
    case .decoding:
      let latent = noise(model.unet.config.sampleSize)
      return each(together) { parallelFor(together) { _ in _ = model.vae.decode(scaled: latent) } }
    case .encoding:
      let texts = Array(repeating: ids, count: 4)
      return each(4 * together) { parallelFor(together) { _ in _ = model.textEncoder(texts) } }
    }
  }

  /// The gradients of all weights take as much memory as the weights. Only the way back to the text is timed: what
  /// those of the weights would add is the arithmetic of a pass forward once more.
  private var largeGradient: Double {
    get throws {
      let latent = noise(model.unet.config.sampleSize)
      let states = model.textEncoder([ids])
      let toText = each(1) {
        let tape = Tape()
        let watched = tape.watch(states)
        let predicted = model.unet(latent, timesteps: [timestep], encoderHiddenStates: watched)
        _ = tape.gradients(of: mseLoss(predicted, latent), for: [watched])
      }
      return try toText + forward
    }
  }

  private var threads: Int { Parallel.threadCount }
  /// Items that are under way at a time, each on a thread of its own where there are several.
  private var together: Int { isLarge ? 1 : min(threads, MemoryLimits.images) }
  private var ids: [Int] { model.tokenizer.encode("") }
  private var timestep: Int { model.schedule.trainTimesteps / 2 }

  private func noise(_ size: Int) -> Tensor {
    RandomStream(seed: 0, "measurement").normal([1, model.unet.config.inChannels, size, size])
  }

  /// A run that takes longer than so many seconds is its own measurement; a shorter one only warms up.
  private static let patience = 0.5

  /// The seconds of one of `count` pieces of some work: the median of three times, after one that is not counted.
  private func each(_ count: Int, _ work: () throws -> Void) rethrows -> Double {
    func seconds() throws -> Double { try ContinuousClock().measure(work).inSeconds / Double(count) }
    let first = try seconds()
    return first * Double(count) > Self.patience ? first : try [seconds(), seconds(), seconds()].median
  }
}

extension PartTimes {
  /// Whether a pass forward takes a good part of a second by its arithmetic, or gradients of all weights much memory.
  private var isLarge: Bool { operations(.forward) > 5e10 || model.unetWeights.parameterCount > 50_000_000 }

  /// Of what is timed of a part; of the way back, which computes some blocks twice, about what it takes.
  private func operations(_ part: Part) -> Double {
    let (architecture, size) = (model.architecture, model.unet.config.sampleSize)
    switch part {
    case .forward:
      return Double(
        architecture.unet.arithmetic(
          batch: 2, height: size, width: size, positions: architecture.text.maxPositions
        ).operations)
    case .gradient: return 1.5 * operations(.forward)
    case .decoding:
      return Double(architecture.vae.decoderArithmetic(batch: 1, height: size, width: size).operations)
    case .encoding: return Double(architecture.text.arithmetic(prompts: 4).operations)
    }
  }
}

extension ModelWork {
  /// The parts that it runs.
  var parts: Set<PartTimes.Part> {
    var parts: Set<PartTimes.Part> = []
    if forwards > 0 { parts.insert(.forward) }
    if gradients > 0 { parts.insert(.gradient) }
    if decodings > 0 { parts.insert(.decoding) }
    if encodings > 0 { parts.insert(.encoding) }
    return parts
  }
}
