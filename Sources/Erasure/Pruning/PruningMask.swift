public import Tensors

/// Which elements of a UNet's weights are zero: the sparse form of a binary mask.
///
/// Only the pruned elements are kept. Dropping the mask gives back the weights bit by bit.
public struct PruningMask: Equatable, Sendable {
  /// Positions in row-major order, ascending, by the name of the weight; no list is empty.
  public private(set) var elements: [String: [Int]]
  /// The number of elements of each weight named, pruned or not.
  public private(set) var counts: [String: Int]

  public init() { (elements, counts) = ([:], [:]) }

  public var isEmpty: Bool { elements.isEmpty }

  /// The number of pruned elements.
  public var prunedCount: Int { elements.values.reduce(0) { $0 + $1.count } }

  /// Prunes elements of a weight that has `count` of them; positions ascend.
  public mutating func prune(_ positions: [Int], of name: String, count: Int) {
    guard !positions.isEmpty else { return }
    precondition(positions[0] >= 0 && positions[positions.count - 1] < count, "a mask past the end of \(name)")
    elements[name] = positions
    counts[name] = count
  }

  /// The weights with the pruned elements set to zero.
  ///
  /// - Throws: ``ErasureError`` for a mask of other weights.
  public func applied(to weights: Weights) throws -> Weights {
    try check(weights)
    var replacements: [String: Tensor] = [:]
    for (name, positions) in elements {
      guard let weight = weights[name] else { continue }
      var values = weight.values
      for position in positions { values[position] = 0 }
      replacements[name] = Tensor(values, shape: weight.shape)
    }
    return weights.replacing(replacements)
  }

  /// Refuses weights that the mask is not of.
  ///
  /// - Throws: ``ErasureError`` for a name or a number of elements that they do not have.
  public func check(_ weights: Weights) throws(ErasureError) {
    for (name, count) in counts.sorted(by: { $0.key < $1.key }) where weights[name]?.count != count {
      throw ErasureError(
        "the mask prunes '\(name)' of \(count) elements, and the UNet has "
          + (weights[name].map { "\($0.count)" } ?? "no such weight") + ": it was made for another model")
    }
  }

  // MARK: Masks of models

  /// The mask of global magnitude pruning: the elements with the smallest absolute values among the weights of all
  /// linear layers and convolutions together (methods 1.6). Biases and norms are not pruned.
  ///
  /// - Parameter share: of those elements, from 0 to 1; the number is rounded down. Of equally small ones the first in
  ///   the order of names and positions are pruned.
  public static func smallest(share: Double, of weights: Weights) -> PruningMask {
    let prunable = weights.tensors.filter { $0.tensor.rank > 1 }
    var rest = Int(Double(prunable.reduce(0) { $0 + $1.tensor.count }) * share)
    guard rest > 0 else { return PruningMask() }
    let (threshold, below) = magnitude(ofRank: rest - 1, in: prunable.map(\.tensor))
    // Those at the threshold fill up what those below it leave.
    rest -= below
    var mask = PruningMask()
    for (name, tensor) in prunable {
      mask.prune(
        tensor.values.indices(where: { value in
          if abs(value) == threshold, rest > 0 {
            rest -= 1
            return true
          }
          return abs(value) < threshold
        }), of: name, count: tensor.count)
    }
    return mask
  }

  /// The absolute value at a place of the ascending order, and how many are smaller. The bits of positive numbers are
  /// in their order, so counting the upper halves and then the lower ones finds it without sorting.
  private static func magnitude(ofRank rank: Int, in tensors: [Tensor]) -> (value: Float, smaller: Int) {
    func place(_ rank: Int, _ key: (UInt32) -> Int?) -> (key: Int, smaller: Int) {
      var counts = [Int](repeating: 0, count: 1 << 16)
      for tensor in tensors {
        tensor.withUnsafeValues { values in
          for value in values {
            if let key = key(value.magnitude.bitPattern) { counts[key] += 1 }
          }
        }
      }
      var (key, smaller) = (0, 0)
      while smaller + counts[key] <= rank {
        smaller += counts[key]
        key += 1
      }
      return (key, smaller)
    }
    let upper = place(rank) { Int($0 >> 16) }
    let lower = place(rank - upper.smaller) { Int($0 >> 16) == upper.key ? Int($0 & 0xffff) : nil }
    return (Float(bitPattern: UInt32(upper.key << 16 | lower.key)), upper.smaller + lower.smaller)
  }

  /// Tensors of the weights' shapes for those of `names` that lose elements: 0 where pruned, 1 elsewhere.
  public func kept(_ names: [String], of weights: Weights) -> [String: Tensor] {
    var kept: [String: Tensor] = [:]
    for name in names {
      guard let positions = elements[name], let weight = weights[name] else { continue }
      kept[name] = Tensor.make(weight.shape) { out in
        out.update(repeating: 1)
        for position in positions { out[position] = 0 }
      }
    }
    return kept
  }

  // MARK: The stored form

  private static let magic = Array("lethe mask 1\n".utf8)

  /// The bytes that keep the mask. After a line that names the format, for each weight in the order of the names: the
  /// length of its name and the name, its number of elements, the number of pruned ones, and the gaps before each of
  /// these. All numbers are variable-length: seven bits a byte, the lowest first, the eighth bit set where more follow.
  public var encoded: [UInt8] {
    var bytes = Self.magic
    for (name, positions) in elements.sorted(by: { $0.key < $1.key }) {
      Self.append(name.utf8.count, to: &bytes)
      bytes += name.utf8
      Self.append(counts[name] ?? 0, to: &bytes)
      Self.append(positions.count, to: &bytes)
      var next = 0
      for position in positions {
        Self.append(position - next, to: &bytes)
        next = position + 1
      }
    }
    return bytes
  }

  /// Reads what ``encoded`` wrote.
  ///
  /// - Throws: ``ErasureError`` for bytes that are no mask, naming `source`.
  public init(decoding bytes: [UInt8], source: String) throws {
    self.init()
    let damaged = ErasureError("\(source) is not a pruning mask")
    guard bytes.starts(with: Self.magic) else { throw damaged }
    var rest = bytes[Self.magic.count...]
    func number() throws -> Int {
      guard let value = Self.takeNumber(&rest) else { throw damaged }
      return value
    }
    while !rest.isEmpty {
      let length = try number()
      guard length <= rest.count else { throw damaged }
      let name = String(decoding: rest.prefix(length), as: UTF8.self)
      guard elements[name] == nil else { throw damaged }
      rest = rest.dropFirst(length)
      let (count, pruned) = (try number(), try number())
      guard pruned > 0, pruned <= count, pruned <= rest.count else { throw damaged }
      var positions: [Int] = []
      positions.reserveCapacity(pruned)
      var next = 0
      for _ in 0..<pruned {
        let gap = try number()
        guard gap < count - next else { throw damaged }
        positions.append(next + gap)
        next += gap + 1
      }
      prune(positions, of: name, count: count)
    }
  }

  private static func append(_ number: Int, to bytes: inout [UInt8]) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private static func takeNumber(_ bytes: inout ArraySlice<UInt8>) -> Int? {
    var (value, shift) = (0, 0)
    while let byte = bytes.popFirst() {
      guard shift <= 49 else { return nil }
      value |= Int(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}

extension Array {
  /// The positions of the elements that a condition holds for, asked in order.
  func indices(where condition: (Element) -> Bool) -> [Int] {
    var positions: [Int] = []
    for (position, element) in enumerated() where condition(element) { positions.append(position) }
    return positions
  }
}
