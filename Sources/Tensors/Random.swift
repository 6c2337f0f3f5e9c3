internal import CKernels

#if canImport(Glibc)
  internal import Glibc
#endif

/// A named stream of random numbers: Philox 4x32-10 (Salmon et al., SC 2011).
///
/// The generator is a function of a key and a counter and holds no state: the key is made from the seed and the
/// stream's name, the upper half of the counter is the item. The same name and item give the same numbers, in any
/// order, on any thread. To draw several kinds of numbers for one item, use several names.
public struct RandomStream: Sendable {
  private let key: UInt64
  private let itemIndex: UInt64

  private init(key: UInt64, itemIndex: UInt64) {
    self.key = key
    self.itemIndex = itemIndex
  }

  /// - Parameter name: the parts of the name, for example `"image"` and a prompt.
  public init(seed: UInt64, _ name: String...) { self.init(seed: seed, name) }

  public init(seed: UInt64, _ name: [String]) {
    var hash = RandomStream.mix(seed &+ 0x9E37_79B9_7F4A_7C15)
    for part in name { hash = RandomStream.absorb(part, into: hash) }
    self.init(key: hash, itemIndex: 0)
  }

  /// The numbers of one item of this stream: an image, a step, a sample.
  public func item(_ index: Int) -> RandomStream {
    RandomStream(key: key, itemIndex: UInt64(bitPattern: Int64(index)))
  }

  /// A stream of its own, named under this one; the item becomes part of the name.
  public func substream(_ name: String) -> RandomStream {
    RandomStream(
      key: RandomStream.absorb(name, into: RandomStream.mix(key ^ itemIndex &* 0xD1B5_4A32_D192_ED03)), itemIndex: 0)
  }

  // FNV-1a over the bytes of a part and its length, then the finaliser of SplitMix64.
  private static func absorb(_ part: String, into hash: UInt64) -> UInt64 {
    var hash = hash
    var count: UInt64 = 0
    for byte in part.utf8 {
      hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
      count += 1
    }
    return mix(hash ^ count &* 0x9E37_79B9_7F4A_7C15)
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// The first `count` 32-bit words of the item.
  public func words(_ count: Int) -> [UInt32] {
    let blocks = (count + 3) / 4
    let keyWords = [UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32)]
    var words = [UInt32](repeating: 0, count: blocks * 4)
    words.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { lethe_philox(keyWords, 0, itemIndex, base, blocks) }
    }
    words.removeLast(blocks * 4 - count)
    return words
  }

  /// One block of the generator for a given key and counter: what the published test vectors check.
  public static func philoxBlock(key: (UInt32, UInt32), counter: (UInt32, UInt32, UInt32, UInt32)) -> [UInt32] {
    var out = [UInt32](repeating: 0, count: 4)
    let low = UInt64(counter.0) | UInt64(counter.1) << 32
    let high = UInt64(counter.2) | UInt64(counter.3) << 32
    lethe_philox([key.0, key.1], low, high, &out, 1)
    return out
  }

  /// `count` numbers in [0, 1), each a multiple of 2^-24.
  public func uniform(_ count: Int) -> [Float] {
    words(count).map { Float($0 >> 8) * 0x1p-24 }
  }

  /// `count` numbers in [0, 1) with 53 random bits each.
  public func uniformDoubles(_ count: Int) -> [Double] {
    let words = words(2 * count)
    return (0..<count).map { index in
      let bits = UInt64(words[2 * index]) << 32 | UInt64(words[2 * index + 1])
      return Double(bits >> 11) * 0x1p-53
    }
  }

  /// `count` whole numbers in 0 ..< bound.
  public func integers(_ count: Int, below bound: Int) -> [Int] {
    precondition(bound > 0 && bound <= Int(UInt32.max), "a random number below \(bound)")
    return words(count).map { Int((UInt64($0) * UInt64(bound)) >> 32) }
  }

  public func integer(below bound: Int) -> Int { integers(1, below: bound)[0] }

  /// A random order of 0 ..< count.
  public func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    guard count > 1 else { return order }
    let draws = uniformDoubles(count)
    for index in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(index, Int(draws[index] * Double(index + 1)))
    }
    return order
  }

  /// Standard normal values (Box and Muller, 1958), computed in float64 and rounded once.
  public func normal(_ shape: [Int]) -> Tensor {
    let count = shape.reduce(1, *)
    let words = words((count + 1) / 2 * 2)
    return Tensor.make(shape) { out in
      for pair in 0..<(count + 1) / 2 {
        // In (0, 1], so that the logarithm is finite.
        let radius = (-2 * log((Double(words[2 * pair]) + 1) * 0x1p-32)).squareRoot()
        let angle = Double(words[2 * pair + 1]) * (0x1p-31 * Double.pi)
        out[2 * pair] = Float(radius * cos(angle))
        if 2 * pair + 1 < count { out[2 * pair + 1] = Float(radius * sin(angle)) }
      }
    }
  }
}
