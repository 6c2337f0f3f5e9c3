import Testing
import Workbench

@Suite("Benchmarks")
struct BenchmarkTests {
  @Test(
    "the median is the value in the middle, and of an even number the mean of the two in the middle",
    arguments: [([0.5], 0.5), ([3, 1, 2], 2), ([2, 1], 1.5), ([4, 1, 10, 2], 3)] as [([Double], Double)])
  func median(values: [Double], expected: Double) {
    #expect(values.median == expected)
  }
}
