import Foundation
import PackagePlugin

/// Gives a target a table of digests of the rooms' sources, made anew whenever one of them changes.
@main
struct SourceDigestsPlugin: BuildToolPlugin {
  /// The rooms whose code can change a result, and the one that drives them. Reports and the command line cannot.
  private static let rooms = [
    "Configuration", "CKernels", "Tensors", "Store", "Diffusion", "Shapes", "Erasure", "Attacks", "Metrics",
    "Workbench",
  ]

  func createBuildCommands(context: PluginContext, target: any Target) async throws -> [Command] {
    let root = context.package.directoryURL.appending(path: "Sources")
    var files: [URL] = []
    for room in context.package.targets where Self.rooms.contains(room.name) {
      guard let all = FileManager.default.enumerator(at: room.directoryURL, includingPropertiesForKeys: nil) else {
        continue
      }
      while let file = all.nextObject() as? URL {
        if ["swift", "c", "h"].contains(file.pathExtension) { files.append(file) }
      }
    }
    files.sort { $0.path < $1.path }
    let output = context.pluginWorkDirectoryURL.appending(path: "GeneratedSourceDigests.swift")
    return [
      .buildCommand(
        displayName: "Digesting the sources that compute",
        executable: try context.tool(named: "digest-sources").url,
        arguments: [output.path, root.path, try context.tool(named: "swiftc").url.path] + files.map(\.path),
        inputFiles: files, outputFiles: [output])
    ]
  }
}
