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
  /// Everything in which `found` is another environment than this one.
  func differences(to found: Environment) -> [EnvironmentDifference] {
    var pairs: [(name: String, recorded: String, found: String, affectsResult: Bool)] = [
      ("processor", processor, found.processor, true),
      ("architecture", architecture, found.architecture, true),
      ("blas_core", blasCore, found.blasCore, true),
      ("blas_configuration", blasConfiguration, found.blasConfiguration, true),
      ("sources", sources.short, found.sources.short, true),
      ("swift", swift, found.swift, true),
      ("threads", String(threads), String(found.threads), false),
      ("operating_system", operatingSystem, found.operatingSystem, false),
      ("kernel", kernel, found.kernel, false),
    ]
    for name in Set(libraries.keys).union(found.libraries.keys).sorted() {
      // glibc computes the functions that are not in our own kernels, libpng decides the bytes of an image file.
      let affects = ["glibc", "libpng", "openblas"].contains(name)
      pairs.append((name, libraries[name] ?? "absent", found.libraries[name] ?? "absent", affects))
    }
    return pairs.filter { $0.recorded != $0.found }.map {
      EnvironmentDifference(name: $0.name, recorded: $0.recorded, found: $0.found, affectsResult: $0.affectsResult)
    }
  }
}
