internal import Store

/// Something in which the machine or the code of a reproduction is not that of the recorded run.
public struct EnvironmentDifference: Equatable, Sendable, CustomStringConvertible {
  /// For example `blas_core`.
  public let name: String
  public let recorded: String
  public let found: String
  /// Whether results may depend on it.
  public let affectsResult: Bool

  public var description: String { "\(name): \(recorded) -> \(found)" }
}

extension Environment {
  /// What environments are told apart by, and whether results may depend on it.
  var parts: [(name: String, value: String, affectsResult: Bool)] {
    var parts: [(name: String, value: String, affectsResult: Bool)] = [
      ("processor", processor, true),
      ("architecture", architecture, true),
      ("blas_core", blasCore, true),
      ("blas_configuration", blasConfiguration, true),
      ("sources", sources.short, true),
      ("swift", swift, true),
      ("threads", String(threads), false),
      ("operating_system", operatingSystem, false),
      ("kernel", kernel, false),
    ]
    for (name, version) in libraries.sorted(by: { $0.key < $1.key }) {
      // glibc computes the functions that are not in our own kernels, libpng decides the bytes of an image file.
      parts.append((name, version, ["glibc", "libpng", "openblas"].contains(name)))
    }
    return parts
  }

  /// Everything in which `found` is another environment than this one.
  func differences(to found: Environment) -> [EnvironmentDifference] {
    let (recorded, others) = (parts, found.parts)
    let added = others.filter { other in !recorded.contains { $0.name == other.name } }
    return (recorded + added).compactMap { part in
      let before = recorded.first { $0.name == part.name }?.value ?? "absent"
      let now = others.first { $0.name == part.name }?.value ?? "absent"
      guard before != now else { return nil }
      return EnvironmentDifference(name: part.name, recorded: before, found: now, affectsResult: part.affectsResult)
    }
  }
}
