public import Configuration
public import Tensors

/// Where the time of a forward pass goes: each operator of a network run alone, with its arithmetic and its bytes.
///
/// An operator that appears several times in the network is run once and counted as often. What the network does
/// beyond its operators, or saves by joining two of them, is the difference between the sum and the whole pass.
public struct Roofline {
  public var work = PartBenchmark.Work.unetForward
  /// Items; `nil` for what is usual for the work.
  public var batch: Int?
  /// Height and width of the latents; `nil` for those that the model was trained on.
  public var latentSize: Int?
  public var repeats = 3

  public init() {}

  /// All operators of one kind at one place of the network.
  public struct Row: Sendable {
    public var kind: String
    public var place: String
    public var count = 0
    public var operations = 0
    public var bytes = 0
    public var seconds = 0.0

    var json: JSON {
      [
        "kind": .string(kind), "place": .string(place), "count": .integer(count), "operations": .integer(operations),
        "bytes": .integer(bytes), "seconds": .number(seconds),
      ]
    }
  }

  public struct Result: Sendable {
    public var threads = 0
    public var batch = 0
    public var latentSize = 0
    /// The slowest first.
    public var rows: [Row] = []
    /// Of the whole pass.
    public var seconds = 0.0
    /// What matrix products reach, in operations a second, and a copy in memory, in bytes read and written a second.
    public var productSpeed = 0.0
    public var copySpeed = 0.0

    public var operations: Int { rows.reduce(0) { $0 + $1.operations } }
    public var bytes: Int { rows.reduce(0) { $0 + $1.bytes } }

    public var json: JSON {
      [
        "threads": .integer(threads), "batch": .integer(batch), "latent_size": .integer(latentSize),
        "rows": .array(rows.map(\.json)), "seconds": .number(seconds),
        "product_operations_per_second": .number(productSpeed), "copy_bytes_per_second": .number(copySpeed),
      ]
    }
  }

  /// - Parameters:
  ///   - folder: a diffusers folder or a single file
  ///   - monitor: progress in operators
  /// - Throws: `CancellationError` between two operators, or the error of a folder that cannot be read.
  public func run(folder: String, monitor: WorkMonitor) throws -> Result {
    guard work != .unetGradient else {
      throw BenchmarkError(description: "a roofline is drawn of forward passes: unet-forward or vae-decode")
    }
    var whole = PartBenchmark(work)
    whole.batch = batch
    whole.latentSize = latentSize
    whole.repeats = 1
    let measured = try whole.run(folder: folder, monitor: WorkMonitor(isCancelled: monitor.isCancelled))
    var counts: [LayerOperation: Int] = [:]
    for layer in measured.arithmetic.layers { counts[layer.operation, default: 0] += 1 }
    var rows: [String: Row] = [:]
    var done = 0
    for (operation, count) in counts {
      try monitor.advance(to: done, of: counts.count)
      done += 1
      let name = operation.kind + operation.place
      var row = rows[name] ?? Row(kind: operation.kind, place: operation.place)
      row.count += count
      row.operations += count * operation.operations
      row.bytes += count * operation.bytes
      row.seconds += Double(count) * median(operation.runner())
      rows[name] = row
    }
    try monitor.advance(to: counts.count, of: counts.count)
    return Result(
      threads: measured.threads, batch: measured.batch, latentSize: measured.latentSize,
      rows: rows.values.sorted { ($1.seconds, $0.kind, $0.place) < ($0.seconds, $1.kind, $1.place) },
      seconds: measured.seconds, productSpeed: measured.productSpeed, copySpeed: copySpeed())
  }

  /// Of a piece for each thread, far larger than all caches.
  private func copySpeed() -> Double {
    let (threads, count) = (Parallel.threadCount, 16 << 20)
    let sources = (0..<threads).map { _ in Tensor.ones([count]) }
    nonisolated(unsafe) let targets = (0..<threads).map { _ in UnsafeMutablePointer<Float>.allocate(capacity: count) }
    defer { for target in targets { target.deallocate() } }
    let seconds = median {
      parallelFor(threads) { thread in
        sources[thread].withUnsafeValues { targets[thread].initialize(from: $0.baseAddress!, count: count) }
      }
    }
    return Double(threads * 2 * 4 * count) / seconds
  }

  private func median(_ work: () -> Void) -> Double {
    work()
    return (0..<max(1, repeats)).map { _ in ContinuousClock().measure(work).inSeconds }.median
  }
}
