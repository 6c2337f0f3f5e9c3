public import Store

/// The digest of the code that computes, as it was when this program was built.
///
/// Each source file is digested without its comments and layout: an edit that cannot change a result keeps every
/// digest. Files are named below `Sources`, for example `Erasure/SSD.swift`.
public enum SourceDigests {
  /// The rooms whose code computes results.
  public static let computingRooms = ["CKernels", "Tensors", "Diffusion", "Shapes", "Erasure", "Attacks", "Metrics"]

  /// The Swift compiler that built this program, for example `Swift version 6.3.1 (swift-6.3.1-RELEASE)`.
  public static let compiler = GeneratedSourceDigests.compiler

  /// The digest of every known source file.
  public static let files: [String: Digest] = {
    var files: [String: Digest] = [:]
    for (file, digest) in GeneratedSourceDigests.files { files[file] = Digest(hex: digest) }
    return files
  }()

  /// The digest of all that computes.
  public static let all = digest(rooms: computingRooms)

  /// One digest for the sources of whole rooms and of single files: what a stage's key says of its code.
  /// - Precondition: every room has files and every file is known; a misspelt one would silently stand for no code.
  public static func digest(rooms: [String], files single: [String] = []) -> Digest {
    var chosen: [String: Digest] = [:]
    for room in rooms {
      let members = files.filter { $0.key.hasPrefix(room + "/") }
      precondition(!members.isEmpty, "there is no room \(room) in the table of source digests")
      chosen.merge(members) { first, _ in first }
    }
    for file in single {
      guard let digest = files[file] else {
        preconditionFailure("there is no file \(file) in the table of source digests")
      }
      chosen[file] = digest
    }
    let lines = chosen.sorted { $0.key < $1.key }.map { "\($0.value.hex)  \($0.key)\n" }
    return Digest(hashing: lines.joined())
  }
}
