import Foundation
public import Tensors

/// What PyTorch, diffusers and their kin computed, kept under Tests/Fixtures with the scripts that made it.
public enum Fixtures {
  public static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures").path

  public static func path(_ name: String) -> String { folder + "/" + name }

  public static func tensors(_ name: String) throws -> SafetensorsFile { try SafetensorsFile(path(name)) }

  public static func json<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
    try JSONDecoder().decode(type, from: Data(contentsOf: URL(fileURLWithPath: path(name))))
  }
}

/// The largest absolute difference over the largest absolute value that is expected; infinite where shapes differ or
/// a value is not a number, the absolute difference where zeros are expected.
public func relativeError(_ value: Tensor, _ expected: Tensor) -> Double {
  guard value.shape == expected.shape else { return .infinity }
  var difference = 0.0
  var scale = 0.0
  for (x, y) in zip(value.values, expected.values) {
    guard x.isFinite || x == y else { return .infinity }
    if x != y { difference = max(difference, abs(Double(x) - Double(y))) }
    scale = max(scale, abs(Double(y)))
  }
  return scale > 0 ? difference / scale : difference
}

/// The bytes of a tensor, to compare without mercy.
public func bits(_ tensor: Tensor) -> [UInt32] { tensor.values.map(\.bitPattern) }

/// A folder for the files of one test, removed at its end.
public func withScratchFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lethe-test-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path)
}

/// Has this process be that of a user whom permissions bind, as they do not bind root, and who owns a folder with all
/// that lies in it. There is no way back, so that it is for tests that have a process of their own.
public func becomeOrdinaryUser(owning folder: String) throws {
  guard geteuid() == 0 else { return }
  let nobody: UInt32 = 65534
  let paths = try FileManager.default.subpathsOfDirectory(atPath: folder).map { "\(folder)/\($0)" }
  let failed = ([folder] + paths).contains { lchown($0, nobody, nobody) != 0 }
  guard !failed, setgroups(0, nil) == 0, setgid(nobody) == 0, setuid(nobody) == 0 else {
    throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EPERM)
  }
}
