internal import Attacks
public import Configuration
internal import Erasure
internal import Metrics
public import Store
internal import Tensors

/// What a stage's key says of the code and the libraries that compute it.
public struct ComputingCode: Sendable {
  /// The digests of the source files, by path below `Sources`.
  public let files: [String: Digest]
  /// The version of OpenBLAS, and the kernels it has chosen for the processor.
  public let blas: JSON

  public init(files: [String: Digest], blas: JSON) {
    self.files = files
    self.blas = blas
  }

  /// The code of this program on this machine.
  public static var current: ComputingCode {
    // "OpenBLAS 0.3.21 ..." names its version in its second word.
    let words = BLAS.configuration.split(separator: " ")
    let version = words.count > 1 ? String(words[1]) : "unknown"
    return ComputingCode(
      files: SourceDigests.files, blas: ["version": .string(version), "core": .string(BLAS.coreName)])
  }

  /// The code of a stage, by room and file: enough to say in which room a change made the stage miss.
  ///
  /// - Parameters:
  ///   - rooms: rooms of which every file counts.
  ///   - stage: the file of the workbench that computes the stage.
  func parts(rooms: [String], stage: String) -> [String: JSON] {
    var parts: [String: JSON] = [:]
    for room in rooms {
      let isRoom = { Self.room(of: $0) == room }
      precondition(files.keys.contains(where: isRoom), "there is no room \(room) in the table of source digests")
      parts[room] = digest(where: isRoom)
    }
    parts[stage] = digest { Self.isFile($0, named: stage) }
    return parts
  }

  /// The code of a technique or metric: its own file, and all of its room but the files of its siblings.
  ///
  /// - Parameters:
  ///   - source: its `sourceFile`.
  ///   - siblings: the source files of all techniques or metrics.
  func parts(component source: String, among siblings: [String]) -> [String: JSON] {
    parts(sharedIn: Self.room(of: source), among: siblings)
      .merging([source: digest { Self.isFile($0, named: source) }]) { $1 }
  }

  /// The code of a room that all techniques or metrics in it share.
  func parts(sharedIn room: String, among siblings: [String]) -> [String: JSON] {
    [
      room: digest { file in
        Self.room(of: file) == room && !siblings.contains { Self.isFile(file, named: $0) }
      }
    ]
  }

  /// Of the files by room and name: which folder of its room a file lies in changes no result.
  private func digest(where isIncluded: (String) -> Bool) -> JSON {
    let lines = files.filter { isIncluded($0.key) }.map { file, digest in
      "\(Self.room(of: file))/\(Self.name(of: file))  \(digest.hex)\n"
    }
    return .string(Digest(hashing: lines.sorted().joined()).hex)
  }

  private static func room(of file: String) -> String { String(file.prefix { $0 != "/" }) }
  private static func name(of file: String) -> Substring { file[...].split(separator: "/").last ?? file[...] }

  /// Whether a path is the file that the compiler calls `fileID`, which names the module and leaves folders out.
  private static func isFile(_ path: String, named fileID: String) -> Bool {
    room(of: path) == room(of: fileID) && name(of: path) == name(of: fileID)
  }
}

extension Catalogue {
  /// The source files of all techniques.
  var techniqueFiles: [String] { techniques.values.compactMap { ($0 as? any Technique.Type)?.sourceFile }.sorted() }

  /// The source files of all attacks.
  var attackFiles: [String] { attacks.values.compactMap { ($0 as? any Attack.Type)?.sourceFile }.sorted() }

  /// The source files of all metrics.
  var metricFiles: [String] { metrics.values.compactMap { ($0 as? any Metric.Type)?.sourceFile }.sorted() }
}
