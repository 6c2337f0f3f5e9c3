import CLibGit2
import CLibPNG
import Glibc
public import Store
import Tensors

/// The machine and the libraries that a run was computed with: what its results may depend on beside its sources.
public struct Environment: Equatable, Sendable {
  /// The processor's model, for example `AMD EPYC 7763 64-Core Processor`.
  public var processor: String
  /// The instruction set, for example `x86_64`.
  public var architecture: String
  /// How many processors are online.
  public var processors: Int
  /// The threads that the run computed on. Results do not depend on it.
  public var threads: Int
  /// The kernels that OpenBLAS chose for the processor, for example `Zen`. Results depend on it.
  public var blasCore: String
  /// What OpenBLAS says of its build, for example `OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...`.
  public var blasConfiguration: String
  /// The versions of the system libraries, by name.
  public var libraries: [String: String]
  /// The compiler, for example `Swift version 6.3.1 (swift-6.3.1-RELEASE)`.
  public var swift: String
  /// For example `Debian GNU/Linux 12 (bookworm)`.
  public var operatingSystem: String
  /// For example `Linux 6.1.0-18-amd64`.
  public var kernel: String
  /// The digest of all sources that compute; see ``SourceDigests``.
  public var sources: Digest

  public init(
    processor: String, architecture: String, processors: Int, threads: Int, blasCore: String, blasConfiguration: String,
    libraries: [String: String], swift: String, operatingSystem: String, kernel: String, sources: Digest
  ) {
    self.processor = processor
    self.architecture = architecture
    self.processors = processors
    self.threads = threads
    self.blasCore = blasCore
    self.blasConfiguration = blasConfiguration
    self.libraries = libraries
    self.swift = swift
    self.operatingSystem = operatingSystem
    self.kernel = kernel
    self.sources = sources
  }

  /// The environment of this process.
  /// - Parameter threads: how many threads the run computes on.
  public static func capture(threads: Int) -> Environment {
    var system = utsname()
    uname(&system)
    return Environment(
      processor: processorModel() ?? "unknown", architecture: text(&system.machine),
      processors: Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), threads: threads, blasCore: BLAS.coreName,
      blasConfiguration: BLAS.configuration, libraries: libraryVersions(), swift: SourceDigests.compiler,
      operatingSystem: operatingSystemName() ?? "unknown",
      kernel: text(&system.sysname) + " " + text(&system.release), sources: SourceDigests.all)
  }

  private static func libraryVersions() -> [String: String] {
    var (major, minor, revision): (Int32, Int32, Int32) = (0, 0, 0)
    git_libgit2_version(&major, &minor, &revision)
    var versions = [
      "libgit2": "\(major).\(minor).\(revision)", "openssl": LibraryVersions.openSSL,
    ]
    versions["glibc"] = libcVersion()
    versions["libpng"] = png_get_libpng_ver(nil).map { String(cString: $0) }
    versions["sqlite"] = LibraryVersions.sqlite
    versions["openblas"] = BLAS.version
    return versions
  }

  /// The C library rounds some functions by version, and by processor.
  private static func libcVersion() -> String? {
    var buffer = [UInt8](repeating: 0, count: 64)
    let length = buffer.withUnsafeMutableBytes {
      confstr(Int32(_CS_GNU_LIBC_VERSION), $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
    guard length > 1, length <= buffer.count else { return nil }
    // "glibc 2.36"
    return String(decoding: buffer[..<(length - 1)], as: UTF8.self).split(separator: " ").last.map(String.init)
  }

  private static func processorModel() -> String? {
    // x86 says "model name"; ARM kernels name the board or nothing.
    for key in ["model name", "Model", "Hardware"] {
      if let value = value(of: key, in: "/proc/cpuinfo", separator: ":") { return value }
    }
    return nil
  }

  private static func operatingSystemName() -> String? {
    let name = value(of: "PRETTY_NAME", in: "/etc/os-release", separator: "=")
    return name.map { $0.trimmingPrefix("\"") }.map { $0.hasSuffix("\"") ? String($0.dropLast()) : String($0) }
  }

  /// The first value of `key` in a file of `key<separator>value` lines.
  private static func value(of key: String, in path: String, separator: Character) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while getline(&line, &capacity, file) > 0 {
      guard let line else { break }
      let parts = String(cString: line).split(separator: separator, maxSplits: 1)
      if parts.count == 2, trimmed(parts[0]) == key { return trimmed(parts[1]) }
    }
    return nil
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }

  /// The text in one of `utsname`'s fixed arrays.
  private static func text<Field>(_ field: inout Field) -> String {
    withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
