internal import Metrics

extension RunRecord {
  /// The values that differ from one execution of the same question to the next.
  public static let unrepeatable: Set<String> = [CostConfiguration.seconds, CostConfiguration.peakMemory]
}
