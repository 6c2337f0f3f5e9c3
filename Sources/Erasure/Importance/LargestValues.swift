internal import Configuration

/// The positions of the largest positive values, in ascending order; of equal values those at the lowest positions.
///
/// A value of zero or below, or one that is not a number, is never among them, so that there may be fewer than
/// `count`. The time grows with the number of values alone: the bits of positive floats are ordered as the floats are,
/// and the bound is found by counting their upper, middle and lower bits.
func positionsOfLargest(_ count: Int, in values: UnsafeBufferPointer<Float>) -> [Int] {
  guard count > 0 else { return [] }
  let positive = values.reduce(0) { $0 + ($1 > 0 ? 1 : 0) }
  guard positive > count else { return values.indices.filter { values[$0] > 0 } }

  // The bits of the smallest value that is taken, found from the highest bits down.
  var (bound, known) = (UInt32(0), UInt32(0))
  var missing = count
  for (shift, width) in [(20, 12), (8, 12), (0, 8)] as [(UInt32, UInt32)] {
    var histogram = [Int](repeating: 0, count: 1 << width)
    for value in values where value > 0 {
      let bits = value.bitPattern
      if bits & known == bound { histogram[Int(bits >> shift) & (1 << width - 1)] += 1 }
    }
    var bucket = histogram.count - 1
    while histogram[bucket] < missing {
      missing -= histogram[bucket]
      bucket -= 1
    }
    bound |= UInt32(bucket) << shift
    known |= UInt32(1 << width - 1) << shift
  }

  // All that are above the bound, and of those that equal it as many as are still missing.
  var positions: [Int] = []
  positions.reserveCapacity(count)
  for (position, value) in values.enumerated() where value > 0 && value.bitPattern >= bound {
    if value.bitPattern == bound {
      guard missing > 0 else { continue }
      missing -= 1
    }
    positions.append(position)
  }
  return positions
}

/// Refuses a ratio above 0 at which no row loses a weight, because their number is rounded down.
///
/// - Parameters:
///   - longest: the length of the longest row
///   - row: what a row is called
/// - Throws: ``ErasureError`` that names the smallest ratio at which a weight goes.
func refuseRatioWithoutEffect(_ ratio: Double, longest: Int, of row: String) throws {
  guard ratio > 0, longest > 0, Int(ratio * Double(longest)) == 0 else { return }
  // Rounded up, so that what is written here is enough.
  let smallest = (1e6 / Double(longest)).rounded(.up) / 1e6
  throw ErasureError(
    "a ratio of \(ratio.json.canonical()) removes nothing, because the longest \(row) has \(longest) weights and the "
      + "number of them is rounded down; the smallest ratio that removes one is \(smallest.json.canonical())")
}
