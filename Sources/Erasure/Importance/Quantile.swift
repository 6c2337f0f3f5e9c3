/// The value below which a share `q` (0 to 1) of the values lies, between two of them by linear interpolation at the
/// position q · (n - 1), as NumPy and PyTorch have it (methods 6.9).
public func quantile(_ values: [Float], _ q: Double) -> Float {
  precondition(!values.isEmpty && (0...1).contains(q), "the quantile \(q) of \(values.count) values")
  let sorted = values.sorted()
  let position = q * Double(sorted.count - 1)
  let below = Int(position)
  guard below + 1 < sorted.count else { return sorted[below] }
  return sorted[below] + Float(position - Double(below)) * (sorted[below + 1] - sorted[below])
}
