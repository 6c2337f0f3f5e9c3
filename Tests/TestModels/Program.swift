public import Configuration
public import Foundation

/// The built program, run as a user runs it.
public struct Program: Sendable {
  /// What a run of it left.
  public struct Outcome: Sendable {
    public let status: Int32
    public let bytes: [UInt8]
    /// What it wrote to standard error.
    public let errors: String

    /// Standard output as text.
    public var output: String { String(decoding: bytes, as: UTF8.self) }

    /// Standard output as the one JSON document that it must be.
    public func json() throws -> JSON { try JSON.parse(output, file: "standard output") }
  }

  public let path: String
  /// The folder that it runs in.
  public let folder: String
  /// What must live as long as the program may be run, such as the owner of its folder.
  private nonisolated(unsafe) var owner: AnyObject?

  /// The program beside these tests.
  ///
  /// - Throws: an error that names the places where it is not.
  public init(in folder: String) throws {
    let programs = [Self.link("/proc/self/exe")] + CommandLine.arguments
    let folders = programs.map { ($0 as NSString).deletingLastPathComponent } + [Self.repository + "/.build/release"]
    guard let found = folders.first(where: { FileManager.default.isExecutableFile(atPath: $0 + "/lethe") }) else {
      throw NotBuilt(description: "no program lethe in \(folders.joined(separator: ", "))")
    }
    path = found + "/lethe"
    self.folder = folder
  }

  /// This program, which keeps `owner` alive.
  public func keeping(_ owner: AnyObject) -> Program {
    var program = self
    program.owner = owner
    return program
  }

  public struct NotBuilt: Error, CustomStringConvertible {
    public let description: String
  }

  static let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  private static func link(_ path: String) -> String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) ?? ""
  }

  /// Runs it to its end.
  public func callAsFunction(_ arguments: String..., environment: [String: String] = [:]) throws -> Outcome {
    let running = try start(arguments, environment: environment)
    return try running.finish()
  }

  /// Starts it.
  public func start(_ arguments: [String], environment: [String: String] = [:]) throws -> RunningProgram {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    // Files rather than pipes, which a program that writes much would fill while nobody reads.
    let files = try (0..<2).map { _ in try RunningProgram.temporaryFile() }
    process.standardOutput = files[0].handle
    process.standardError = files[1].handle
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return RunningProgram(process: process, output: files[0].path, errors: files[1].path)
  }
}

/// A program that was started and has not been waited for.
public struct RunningProgram {
  public let process: Process
  let output: String
  let errors: String

  static func temporaryFile() throws -> (path: String, handle: FileHandle) {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("lethe-test-\(UUID().uuidString)").path
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    return (path, try FileHandle(forUpdating: URL(fileURLWithPath: path)))
  }

  public var isRunning: Bool { process.isRunning }

  /// What it has written to standard error so far.
  public func errorsSoFar() -> String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

  public func finish() throws -> Program.Outcome {
    process.waitUntilExit()
    defer { for path in [output, errors] { try? FileManager.default.removeItem(atPath: path) } }
    return Program.Outcome(
      status: process.terminationReason == .uncaughtSignal
        ? 128 + process.terminationStatus : process.terminationStatus,
      bytes: try [UInt8](Data(contentsOf: URL(fileURLWithPath: output))),
      errors: try String(contentsOfFile: errors, encoding: .utf8))
  }
}
