public import Configuration

/// What the edit cost: the seconds that it and its estimates took, the most memory that they held, and the bytes that
/// the store keeps of it. Whoever runs the experiment measures them, and no cache keeps them: a time is no property of
/// the question.
public struct CostConfiguration: Configuration {
  public init() {}
  public static let fields: [Field<CostConfiguration>] = []

  /// The names of the values. Seconds and memory differ from one execution to the next.
  public static let seconds = "cost_seconds"
  public static let peakMemory = "cost_peak_memory"
  public static let bytes = "cost_bytes"
}

extension CostConfiguration: Metric {
  public static let name = "cost"
  public static let sourceFile = #fileID

  public func judges(_ context: MetricContext) throws -> [String] { [] }
}
