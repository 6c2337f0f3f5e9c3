import Store
import Testing
import Workbench

@Suite struct EnvironmentTests {
  @Test func namesEverythingThatResultsMayDependOn() {
    let environment = Environment.capture(threads: 2)
    #expect(environment.threads == 2 && environment.processors > 0)
    #expect(!environment.blasCore.isEmpty)
    #expect(environment.blasConfiguration.contains("OpenBLAS"))
    #expect(environment.swift.contains("Swift version"))
    #expect(environment.kernel.hasPrefix("Linux "))
    #expect(environment.libraries.keys.sorted() == ["glibc", "libgit2", "libpng", "openblas", "openssl", "sqlite"])
    #expect(environment.libraries.values.allSatisfy { $0.first?.isNumber == true })
    #expect(!environment.operatingSystem.contains("\""))
    #expect(environment.sources == SourceDigests.all)
  }

  @Test func isTheSameEachTime() {
    #expect(Environment.capture(threads: 1) == Environment.capture(threads: 1))
  }
}

@Suite struct SourceDigestsTests {
  @Test func coversTheRoomsThatComputeAndNotTheCommandLine() {
    for room in ["CKernels/", "Tensors/", "Workbench/Provenance/SourceDigests.swift"] {
      #expect(SourceDigests.files.keys.contains { $0.hasPrefix(room) }, "\(room)")
    }
    #expect(!SourceDigests.files.keys.contains { $0.hasPrefix("lethe/") || $0.hasPrefix("Reports/") })
  }

  @Test func roomsAndFilesAddUpInAnyOrder() {
    let both = SourceDigests.digest(rooms: ["Tensors", "CKernels"])
    #expect(both == SourceDigests.digest(rooms: ["CKernels", "Tensors"]))
    #expect(both != SourceDigests.digest(rooms: ["Tensors"]))
    let file = "Workbench/Provenance/SourceDigests.swift"
    #expect(SourceDigests.digest(rooms: ["Tensors"], files: [file]) != SourceDigests.digest(rooms: ["Tensors"]))
    // A file that a named room holds already adds nothing.
    let member = SourceDigests.files.keys.filter { $0.hasPrefix("Tensors/") }.sorted()[0]
    #expect(SourceDigests.digest(rooms: ["Tensors"], files: [member]) == SourceDigests.digest(rooms: ["Tensors"]))
  }
}
