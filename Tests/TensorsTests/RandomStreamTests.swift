import Tensors
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Random streams")
struct RandomStreamTests {
  /// The known answers for philox 4x32-10 that the Random123 library publishes (kat_vectors).
  @Test(
    "Philox 4x32-10 gives its published test vectors",
    arguments: [
      Vector(
        counter: [0, 0, 0, 0], key: [0, 0], output: [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
      Vector(
        counter: [.max, .max, .max, .max], key: [.max, .max],
        output: [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
      Vector(
        counter: [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], key: [0xa409_3822, 0x299f_31d0],
        output: [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
    ])
  func publishedVectors(_ vector: Vector) {
    let output = RandomStream.philoxBlock(
      key: (vector.key[0], vector.key[1]),
      counter: (vector.counter[0], vector.counter[1], vector.counter[2], vector.counter[3]))
    #expect(output == vector.output)
  }

  struct Vector: Sendable, CustomTestStringConvertible {
    let counter: [UInt32]
    let key: [UInt32]
    let output: [UInt32]
    var testDescription: String { "counter \(counter)" }
  }

  @Test("the same seed, name and item give the same numbers; another of any gives others")
  func addresses() {
    let stream = RandomStream(seed: 7, "image", "a red circle")
    let numbers = stream.item(3).words(8)
    #expect(RandomStream(seed: 7, "image", "a red circle").item(3).words(8) == numbers)
    let others = [
      RandomStream(seed: 8, "image", "a red circle").item(3), RandomStream(seed: 7, "image", "a red star").item(3),
      RandomStream(seed: 7, "imagea", " red circle").item(3), RandomStream(seed: 7, "a red circle", "image").item(3),
      stream.item(4), stream, stream.substream("image").item(3), stream.item(3).substream("image"),
    ]
    var seen = [numbers]
    for other in others {
      let words = other.words(8)
      #expect(!seen.contains(words))
      seen.append(words)
    }
  }

  @Test("the first numbers of an item do not depend on how many are drawn")
  func prefixes() {
    let stream = RandomStream(seed: 1, "prefix").item(2)
    let words = stream.words(1000)
    for count in [0, 1, 3, 4, 5, 999] { #expect(stream.words(count) == Array(words.prefix(count))) }
    let normals = stream.normal([101]).values
    #expect(stream.normal([7]).values == Array(normals.prefix(7)))
    #expect(bits(stream.normal([5, 4])) == bits(stream.normal([20])))
  }

  @Test("the numbers stay as they are: what is stored and published depends on them")
  func pinned() {
    let stream = RandomStream(seed: 0, "lethe")
    #expect(stream.words(4) == [2_609_416_946, 2_580_839_566, 3_657_900_113, 691_899_609])
    #expect(stream.item(5).words(2) == [534_520_816, 4_062_040_325])
    #expect(stream.substream("a").words(2) == [1_452_220_993, 3_650_019_266])
    #expect(stream.normal([3]).values == [-0.8043287, -0.5913456, 0.30033413])
    #expect(stream.permutation(6) == [4, 2, 5, 3, 0, 1])
    #expect(stream.integers(4, below: 100) == [60, 60, 85, 16])
  }

  @Test("uniform numbers lie in [0, 1) with mean 1/2 and variance 1/12")
  func uniformMoments() {
    let stream = RandomStream(seed: 5, "uniform")
    let values = stream.uniform(100_000).map(Double.init)
    let doubles = stream.uniformDoubles(100_000)
    for sample in [values, doubles] {
      #expect(sample.allSatisfy { $0 >= 0 && $0 < 1 })
      let mean = sample.reduce(0, +) / Double(sample.count)
      let variance = sample.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(sample.count)
      #expect(abs(mean - 0.5) < 0.004)
      #expect(abs(variance - 1.0 / 12) < 0.002)
    }
  }

  @Test("normal numbers have the moments of the normal distribution, and neighbours are uncorrelated")
  func normalMoments() {
    let sample = RandomStream(seed: 5, "normal").normal([200_000]).values.map(Double.init)
    func mean(_ function: (Double) -> Double) -> Double {
      sample.reduce(0) { $0 + function($1) } / Double(sample.count)
    }
    #expect(sample.allSatisfy { $0.isFinite })
    #expect(abs(mean { $0 }) < 0.01)
    #expect(abs(mean { $0 * $0 } - 1) < 0.015)
    #expect(abs(mean { $0 * $0 * $0 }) < 0.04)
    #expect(abs(mean { $0 * $0 * $0 * $0 } - 3) < 0.12)
    let neighbours = zip(sample, sample.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / Double(sample.count)
    #expect(abs(neighbours) < 0.01)
    let tail = Double(sample.filter { abs($0) > 1.959964 }.count) / Double(sample.count)
    #expect(abs(tail - 0.05) < 0.003)
  }

  @Test("integers cover their range evenly and permutations hold each index once")
  func integers() {
    let stream = RandomStream(seed: 6, "integers")
    var counts = [Int](repeating: 0, count: 7)
    for value in stream.integers(70_000, below: 7) { counts[value] += 1 }
    #expect(counts.allSatisfy { abs($0 - 10_000) < 400 })
    #expect(stream.integers(20, below: 1).allSatisfy { $0 == 0 })
    for count in [0, 1, 2, 50] {
      let order = stream.item(count).permutation(count)
      #expect(order.sorted() == Array(0..<count))
    }
    #expect(stream.permutation(50) != Array(0..<50))
    var firsts = [Int](repeating: 0, count: 5)
    for item in 0..<5000 { firsts[stream.item(item).permutation(5)[0]] += 1 }
    #expect(firsts.allSatisfy { abs($0 - 1000) < 150 })
  }
}
