public import Configuration
internal import Diffusion
public import Tensors

/// One part of a diffusion model at work, with its time and memory, alone in its process: `benchmarks/part_peer.py`
/// does the same in PyTorch.
public struct PartBenchmark {
  public enum Work: String, Sendable, CaseIterable {
    /// A forward pass of the UNet.
    case unetForward = "unet-forward"
    /// Forward and backward to the gradients of all weights of the UNet, for the noise-prediction loss.
    case unetGradient = "unet-gradient"
    /// Latents to images.
    case vaeDecode = "vae-decode"

    /// Both halves of guidance, one training sample, one image.
    var usualBatch: Int { self == .unetForward ? 2 : 1 }
  }

  public var work: Work
  /// Items; `nil` for what is usual for the work.
  public var batch: Int?
  /// Height and width of the latents; `nil` for those that the model was trained on.
  public var latentSize: Int?
  public var repeats = 3
  /// Whether each pass is followed by one on a single thread.
  public var comparesWithOneThread = false
  /// Work that takes longer than so many seconds is timed once and not warmed up.
  public var patience = 60.0

  public init(_ work: Work) { self.work = work }

  public struct Result: Sendable {
    public var work: Work
    public var threads = 0
    public var batch = 0
    public var latentSize = 0
    /// The median of the repeats.
    public var seconds = 0.0
    /// The median of the repeats on one thread, and of how many times as long each took as the pass before it on all
    /// threads; `nil` where they were not compared.
    public var secondsOnOneThread: Double?
    public var gainOfThreads: Double?
    /// The layers of the forward pass.
    public var arithmetic = Arithmetic()
    /// Floating point operations, counted from shapes; a gradient takes three times those of its forward pass.
    public var operations: Int { arithmetic.operations * (work == .unetGradient ? 3 : 1) }
    /// The most memory that the process held while it worked, its weights and the pages of mapped files among it; the
    /// most since it was started, loading among it; and what it held before it read the model, its program and
    /// libraries. `nil` where the kernel does not tell.
    public var peakBytes: Int?
    public var peakBytesWithLoading: Int?
    public var bytesBeforeLoading: Int?
    /// What matrix products reach in the same process, in operations a second.
    public var productSpeed = 0.0

    /// The speed as a share of ``productSpeed``. More than 1 is possible: operations that an algorithm saves count.
    public var share: Double { Double(operations) / seconds / productSpeed }

    /// The document that the peer prints, too, but for the speed of products.
    public var json: JSON {
      [
        "work": .string(work.rawValue), "threads": .integer(threads), "batch": .integer(batch),
        "latent_size": .integer(latentSize), "seconds": .number(seconds), "operations": .integer(operations),
        "seconds_on_one_thread": secondsOnOneThread.map(JSON.number) ?? .null,
        "gain_of_threads": gainOfThreads.map(JSON.number) ?? .null,
        "peak_bytes": peakBytes.map(JSON.integer) ?? .null,
        "peak_bytes_with_loading": peakBytesWithLoading.map(JSON.integer) ?? .null,
        "bytes_before_loading": bytesBeforeLoading.map(JSON.integer) ?? .null,
        "product_operations_per_second": .number(productSpeed), "share_of_products": .number(share),
      ]
    }
  }

  /// - Parameters:
  ///   - folder: a diffusers folder or a single file; only the part that works is read
  ///   - monitor: progress in passes
  /// - Throws: `CancellationError` between two passes, or the error of a folder that cannot be read, or changed
  ///   meanwhile.
  public func run(folder: String, monitor: WorkMonitor) throws -> Result {
    let stamps = try FileStamps(ofModel: folder)
    var result = Result(work: work)
    result.bytesBeforeLoading = PeakMemory.current
    result.threads = Parallel.threadCount
    result.batch = batch ?? work.usualBatch
    switch work {
    case .unetForward, .unetGradient:
      let (unet, weights) = try UNet2DConditionModel.read(folder: folder)
      result.latentSize = try size(unet.config.sampleSize, multipleOf: unet.resolution)
      result.arithmetic = unet.config.arithmetic(
        batch: result.batch, height: result.latentSize, width: result.latentSize)
      let inputs = Inputs(unet.config, result)
      try measure(&result, monitor) {
        if work == .unetForward {
          _ = unet(inputs.latents, timesteps: inputs.timesteps, encoderHiddenStates: inputs.states)
        } else {
          try inputs.differentiate(unet.config, weights)
        }
      }
    case .vaeDecode:
      let vae = try AutoencoderKL.read(folder: folder).model
      result.latentSize = try size(vae.config.sampleSize / vae.config.reduction, multipleOf: 1)
      result.arithmetic = vae.config.decoderArithmetic(
        batch: result.batch, height: result.latentSize, width: result.latentSize)
      let latents = RandomStream(seed: 0, "benchmark").normal(
        [result.batch, vae.config.latentChannels, result.latentSize, result.latentSize])
      try measure(&result, monitor) { _ = vae.decode(latents) }
    }
    try stamps.confirmUnchanged()
    result.productSpeed = ProductSpeed.operationsPerSecond()
    return result
  }

  private func size(_ trained: Int, multipleOf multiple: Int) throws -> Int {
    let size = latentSize ?? trained
    guard size % multiple == 0 else {
      throw BenchmarkError(description: "latents of \(size)x\(size): a multiple of \(multiple) was expected")
    }
    return size
  }

  private struct Inputs {
    let latents, noise, states: Tensor
    let timesteps: [Int]

    init(_ config: UNetConfig, _ result: Result) {
      let stream = RandomStream(seed: 0, "benchmark")
      let shape = [result.batch, config.inChannels, result.latentSize, result.latentSize]
      latents = stream.substream("latents").normal(shape)
      noise = stream.substream("noise").normal(shape)
      states = stream.substream("states").normal([result.batch, 77, config.crossAttentionSize])
      timesteps = Array(repeating: 501, count: result.batch)
    }

    func differentiate(_ config: UNetConfig, _ weights: Weights) throws {
      let tape = Tape()
      let tracked = weights.tracked(on: tape)
      let unet = try UNet2DConditionModel(config, tracked)
      let loss = mseLoss(unet(latents, timesteps: timesteps, encoderHiddenStates: states), noise)
      // All gradients are there at once in the end, as a backward pass in PyTorch leaves them.
      _ = tape.gradients(of: loss, for: tracked.tensors.map(\.tensor))
    }
  }

  /// Times the work, after one time that is not counted, and sees how much memory it takes.
  private func measure(_ result: inout Result, _ monitor: WorkMonitor, _ work: () throws -> Void) throws {
    let whenLoaded = PeakMemory.current
    let isReset = PeakMemory.reset()
    let perRepeat = comparesWithOneThread ? 2 : 1
    let passes = max(1, repeats) * perRepeat + 1
    try monitor.advance(to: 0, of: passes)
    let first = try ContinuousClock().measure(work).inSeconds
    var all = first > patience && !comparesWithOneThread ? [first] : []
    var alone: [Double] = []
    while all.isEmpty || (all.count < repeats && first <= patience) {
      try monitor.advance(to: all.count * perRepeat + 1, of: passes)
      all.append(try ContinuousClock().measure(work).inSeconds)
      guard comparesWithOneThread else { continue }
      try monitor.advance(to: all.count * perRepeat, of: passes)
      alone.append(try Parallel.onOneThread { try ContinuousClock().measure(work).inSeconds })
    }
    try monitor.advance(to: passes, of: passes)
    result.seconds = all.median
    if comparesWithOneThread {
      result.secondsOnOneThread = alone.median
      result.gainOfThreads = zip(alone, all).map { $0 / $1 }.median
    }
    let peak = PeakMemory.current
    result.peakBytes = isReset ? peak : nil
    result.peakBytesWithLoading = peak.map { max($0, whenLoaded ?? 0) }
  }
}

/// What a benchmark cannot measure, in one sentence.
public struct BenchmarkError: Error, Equatable, CustomStringConvertible {
  public let description: String
}
