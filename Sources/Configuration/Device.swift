/// A device that a configuration may ask for. Which one computes never changes a result, so it is in no hash.
public enum Device: String, CaseIterable, ConfigurationValue {
  case cpu, cuda, mps
}

extension Field {
  /// The `device` key that every technique and metric has.
  public static func device(_ path: any WritableKeyPath<Root, Device?> & Sendable) -> Field {
    Field("device", path, "Device to run on; the CPU if unset", affectsResult: false, role: .device)
  }
}
