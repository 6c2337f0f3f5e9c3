import CCrypto
import Foundation
import SourceLexer

/// Writes a Swift file with the digest of every source file it is given, comments and layout aside.
///
/// Called by the build: `digest-sources OUTPUT ROOT COMPILER FILE...`. Files are named relative to ROOT; COMPILER is
/// the path of the Swift compiler, whose version is written down as well.
@main
struct DigestSources {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count > 3 else {
      FileHandle.standardError.write(Data("usage: digest-sources OUTPUT ROOT COMPILER FILE...\n".utf8))
      exit(64)
    }
    let root = arguments[2].hasSuffix("/") ? arguments[2] : arguments[2] + "/"
    var lines: [String] = []
    for path in arguments[4...].sorted() {
      guard path.hasPrefix(root), let language = SourceLanguage(fileName: path) else { continue }
      let source = try Data(contentsOf: URL(fileURLWithPath: path))
      let digest = sha256(NormalizedSource.normalize(Array(source), language))
      lines.append("    (\"\(path.dropFirst(root.count))\", \"\(digest)\"),")
    }
    let text = """
      // Written by digest-sources when a source changes; see Sources/SourceDigests.
      enum GeneratedSourceDigests {
        static let compiler = \(quoted(version(of: arguments[3])))
        static let files: [(file: String, digest: String)] = [
      \(lines.joined(separator: "\n"))
        ]
      }

      """
    // An unchanged file keeps its time, so that editing a comment does not even compile the table again.
    let output = URL(fileURLWithPath: arguments[1])
    if (try? Data(contentsOf: output)) == Data(text.utf8) { return }
    try Data(text.utf8).write(to: output, options: .atomic)
  }

  private static func sha256(_ bytes: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    guard EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil) == 1 else { return "" }
    return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// The first line that the compiler says of itself.
  private static func version(of compiler: String) -> String {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: compiler)
    process.arguments = ["--version"]
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return "unknown" }
    let answer = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return answer.split(separator: "\n").first { $0.contains("Swift version") }.map(String.init) ?? "unknown"
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.filter { $0 != "\\" && $0 != "\"" } + "\""
  }
}
