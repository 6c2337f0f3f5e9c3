import Configuration
import Store
import Testing
import Workbench

@Suite("Comparisons of runs")
struct RunComparisonTests {
  @Test("of the machine everything is compared that a result may depend on, libraries included, and nothing else")
  func surroundings() {
    let first = RunRecordTests.full()
    var second = first
    second.environment.blasConfiguration = "OpenBLAS 0.1"
    second.environment.libraries["glibc"] = "0.1"
    second.environment.libraries["libpng"] = nil
    second.environment.libraries["sqlite"] = "0.1"
    second.environment.threads += 1
    second.environment.kernel = "Linux 0.1"
    second.git.isDirty = false
    let comparison = RunComparison([(Digest(hashing: "a"), first), (Digest(hashing: "b"), second)])
    #expect(comparison.surroundings.map(\.keyPath) == ["blas_configuration", "glibc", "libpng", "uncommitted_changes"])
    #expect(comparison.surroundings.map { $0.values[1]?.string } == ["OpenBLAS 0.1", "0.1", nil, nil])
  }
}
