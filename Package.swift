// swift-tools-version: 6.2
import PackageDescription

/// The rooms of the house, from the ground up; see docs/architecture.md.
/// A room imports only rooms named in its own `dependencies`, never one above it; `.ci/run` checks it.
let upcoming: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = [], plugins: [Target.PluginUsage] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: upcoming, plugins: plugins)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: upcoming)
}

/// Asked for by the Makefile where the toolchain has the static libraries: starting `lethe` then takes some 14 ms of
/// processor time instead of 23, because nothing of Swift is loaded and relocated. Only the link of `lethe` differs;
/// every object is shared with the tests.
let staticLibraries = [
  "-static-stdlib", "-lFoundation", "-lCoreFoundation", "-lFoundationInternationalization", "-lFoundationEssentials",
  "-l_FoundationICU", "-l_FoundationCollections", "-l_FoundationCShims", "-lstdc++", "-lm",
]
let linkage: [LinkerSetting] = Context.environment["LETHE_STATIC"] == "1" ? [.unsafeFlags(staticLibraries)] : []

let package = Package(
  name: "lethe",
  products: [.executable(name: "lethe", targets: ["lethe"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
  ],
  targets: [
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CLibGit2", pkgConfig: "libgit2", providers: [.apt(["libgit2-dev"])]),
    .systemLibrary(name: "CLibPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

    // Full speed in every configuration, and no fused multiply-add chosen by the compiler: the clones of a kernel
    // for different processors then give the same bits.
    .target(
      name: "CKernels",
      cSettings: [.unsafeFlags(["-O3", "-ffp-contract=off", "-fno-math-errno"])]),

    room("Configuration"),
    room("Tensors", ["Configuration", "CKernels", "COpenBLAS", "CZlib"]),
    room("Store", ["Configuration", "CCrypto", .product(name: "GRDB", package: "GRDB.swift")]),
    room("Diffusion", ["Configuration", "Tensors", "CLibPNG"]),
    room("Shapes", ["Configuration", "Tensors", "Diffusion"]),
    room("Erasure", ["Configuration", "Tensors", "Diffusion"]),
    room("Attacks", ["Configuration", "Tensors", "Diffusion"]),
    room("Metrics", ["Configuration", "Tensors", "Diffusion", "Shapes", "Erasure", "Attacks"]),
    room(
      "Workbench",
      [
        "Configuration", "Tensors", "Store", "Diffusion", "Shapes", "Erasure", "Attacks", "Metrics", "CLibGit2",
        "CLibPNG",
      ], plugins: ["SourceDigests"]),
    room("Reports", ["Configuration", "Store", "Diffusion", "Workbench"]),
    .executableTarget(
      name: "lethe",
      dependencies: [
        "Configuration", "Tensors", "Store", "Diffusion", "Shapes", "Workbench", "Reports",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: upcoming, linkerSettings: linkage),

    // No room, but a part of the build: tells the workbench which code computes; see docs/architecture.md.
    .target(name: "SourceLexer", path: "Sources/SourceDigests/Lexer", swiftSettings: upcoming),
    .executableTarget(
      name: "digest-sources", dependencies: ["SourceLexer", "CCrypto"], path: "Sources/SourceDigests/Tool",
      swiftSettings: upcoming),
    .plugin(
      name: "SourceDigests", capability: .buildTool(), dependencies: ["digest-sources"],
      path: "Sources/SourceDigests/Plugin"),

    .target(
      name: "TestModels", dependencies: ["Configuration", "Tensors", "Diffusion", "Shapes", "Metrics", "TestSupport"],
      path: "Tests/TestModels", swiftSettings: upcoming),
    .target(name: "TestSupport", dependencies: ["Tensors"], path: "Tests/TestSupport", swiftSettings: upcoming),
    tests("ConfigurationTests", ["Configuration"]),
    tests("TensorsTests", ["Tensors", "Configuration"]),
    // A process of its own for the store's tests of concurrent starts and of sudden death.
    .executableTarget(
      name: "store-probe", dependencies: ["Store", "Configuration"], path: "Tests/StoreProbe", swiftSettings: upcoming),
    tests("StoreTests", ["Store", "Configuration", "store-probe"]),
    tests("SourceDigestsTests", ["SourceLexer"]),
    tests("DiffusionTests", ["Diffusion", "Configuration", "Tensors"]),
    tests("ShapesTests", ["Configuration", "Shapes", "Diffusion", "Tensors"]),
    tests("ErasureTests", ["Erasure", "Configuration", "Diffusion", "Tensors"]),
    tests("AttacksTests", ["Attacks", "Configuration", "Diffusion", "Tensors"]),
    tests(
      "MetricsTests",
      ["Metrics", "Configuration", "Tensors", "Diffusion", "Shapes", "Erasure", "Attacks", "TestModels"]),
    tests(
      "WorkbenchTests",
      [
        "Workbench", "Configuration", "Tensors", "Store", "Diffusion", "Shapes", "Erasure", "Attacks", "Metrics",
        "TestModels",
      ]),
    tests("ReportsTests", ["Reports", "Workbench", "Configuration", "Store", "Diffusion"]),
    tests("CommandLineTests", ["Configuration", "Diffusion", "Tensors", "TestModels"]),
  ],
  swiftLanguageModes: [.v6]
)
