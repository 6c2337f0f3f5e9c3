import Workbench

/// What a benchmark found, in words and columns.
enum BenchText {
  static func speed(_ operationsPerSecond: Double) -> String {
    RunText.fixed(operationsPerSecond / 1e9, 0) + " GFLOP/s"
  }

  static func percent(_ share: Double) -> String { RunText.fixed(100 * share, 1) + " %" }

  static func memory(_ bytes: Int?) -> String {
    bytes.map { RunText.fixed(Double($0) / Double(1 << 30), 2) + " GiB" } ?? "not told by this kernel"
  }

  static func part(_ result: PartBenchmark.Result) -> String {
    var columns = Columns()
    columns.add("seconds", RunText.fixed(result.seconds, 4))
    if let alone = result.secondsOnOneThread, let gain = result.gainOfThreads {
      columns.add(
        "on one thread", "\(RunText.fixed(alone, 4)), \(RunText.fixed(gain, 2)) times as long as the pass before it")
    }
    columns.add("arithmetic", RunText.fixed(Double(result.operations) / 1e9, 1) + " GFLOP")
    columns.add(
      "speed",
      "\(speed(Double(result.operations) / result.seconds)), \(percent(result.share)) of products of matrices "
        + "(\(speed(result.productSpeed)))")
    columns.add("peak memory", memory(result.peakBytes))
    columns.add("the same with loading", memory(result.peakBytesWithLoading))
    return columns.text() + "\n\n\(result.work.rawValue), batch \(result.batch), latents of \(result.latentSize)x"
      + "\(result.latentSize), \(result.threads) threads"
  }

  static func roofline(_ result: Roofline.Result) -> String {
    var columns = Columns(
      ["layer", "at", "count", "GFLOP", "MB", "seconds", "GFLOP/s", "of products", "GB/s"],
      numbers: [2, 3, 4, 5, 6, 7, 8])
    func add(_ kind: String, _ place: String, _ count: Int, _ operations: Int, _ bytes: Int, _ seconds: Double) {
      let isArithmetic = operations > 0
      let perSecond = Double(operations) / seconds
      columns.add(
        kind, place, "\(count)", isArithmetic ? RunText.fixed(Double(operations) / 1e9, 1) : "",
        RunText.fixed(Double(bytes) / 1e6, 1), RunText.fixed(seconds, 4),
        isArithmetic ? RunText.fixed(perSecond / 1e9, 0) : "",
        isArithmetic ? percent(perSecond / result.productSpeed) : "", RunText.fixed(Double(bytes) / seconds / 1e9, 1))
    }
    for row in result.rows { add(row.kind, row.place, row.count, row.operations, row.bytes, row.seconds) }
    add(
      "all layers alone", "", result.rows.reduce(0) { $0 + $1.count }, result.operations, result.bytes,
      result.rows.reduce(0) { $0 + $1.seconds })
    add("the whole pass", "", 1, result.operations, result.bytes, result.seconds)
    return columns.text() + "\n\nbatch \(result.batch), latents of \(result.latentSize)x\(result.latentSize), "
      + "\(result.threads) threads; products of matrices reach \(speed(result.productSpeed)), copies in memory "
      + RunText.fixed(result.copySpeed / 1e9, 1) + " GB/s"
  }
}
