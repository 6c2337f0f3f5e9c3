import Tensors
import TestSupport
import Testing

@Suite("Memory")
struct MemoryTests {
  @Test("a tensor larger than the memory ends the program with one sentence and status 1")
  func tooLarge() async throws {
    let result = try await #require(
      processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
    ) { _ = Tensor.zeros([1 << 30, 1 << 30]) }
    let said = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(
      said.contains("lethe: error: there is not enough memory for a tensor of the shape [1073741824, 1073741824]\n"))
  }

  @Test("a shape whose product is no integer ends it likewise")
  func overflow() async throws {
    let result = try await #require(
      processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
    ) { _ = Tensor.zeros([1 << 40, 1 << 40]) }
    #expect(String(decoding: result.standardErrorContent, as: UTF8.self).contains("there is not enough memory"))
  }
}
