internal import CKernels

/// How the values of a factor of a product lie in memory.
struct Factor {
  let pointer: UnsafePointer<Float>
  /// The distance between neighbours in a column.
  let row: Int
  /// The distance between neighbours in a row.
  let step: Int

  /// Rows one after the other, `width` apart.
  static func rows(_ pointer: UnsafePointer<Float>, _ width: Int) -> Factor {
    Factor(pointer: pointer, row: width, step: 1)
  }

  /// The transpose of rows that are `width` apart.
  static func columns(_ pointer: UnsafePointer<Float>, _ width: Int) -> Factor {
    Factor(pointer: pointer, row: 1, step: width)
  }
}

/// c (m x n) = a (m x k) b (k x n), or added to c: the product of matrices that all layers are made of.
///
/// A value of c is one chain of fused multiply-adds along k in a fixed order: it has the same bits on every processor,
/// for any number of threads, and whatever rows and columns are computed with it.
struct MatrixProduct {
  let m: Int
  let n: Int
  let k: Int

  /// 1 where a tile of the product may fill the registers of AVX-512.
  static let hasWideRegisters = lethe_has_avx512()
  static let panel = Int(LETHE_PANEL)
  private static let depth = Int(LETHE_PRODUCT_DEPTH)
  /// Multiplications that repay a thread's work.
  private static let leastShared = 1 << 17

  init(_ m: Int, _ n: Int, _ k: Int) {
    self.m = m
    self.n = n
    self.k = k
  }

  /// - Parameters:
  ///   - c: rows `width` apart
  ///   - bias: n values that are added to each row; not where the product is added to c
  ///   - accumulates: whether c is added to
  func callAsFunction(
    _ a: Factor, _ b: Factor, _ c: UnsafeMutablePointer<Float>, _ width: Int, bias: UnsafePointer<Float>? = nil,
    accumulates: Bool = false
  ) {
    precondition(bias == nil || !accumulates, "a product that is added to c and to a bias")
    forEachBlock { rows, columns in
      fill(rows, columns, c, width, bias)
      block(rows, columns, a, b, c, width, accumulates: accumulates || bias != nil)
    }
  }

  /// The same with b packed into panels one after the other.
  func callAsFunction(
    _ a: Factor, packed panels: UnsafePointer<Float>, _ c: UnsafeMutablePointer<Float>, _ width: Int,
    bias: UnsafePointer<Float>? = nil
  ) {
    forEachBlock { rows, columns in
      fill(rows, columns, c, width, bias)
      MatrixProduct(rows.count, columns.count, k).withPacked(
        Factor(pointer: a.pointer + rows.lowerBound * a.row, row: a.row, step: a.step),
        panels + columns.lowerBound * k, panelStride: k * MatrixProduct.panel,
        c + rows.lowerBound * width + columns.lowerBound, width, accumulates: bias != nil)
    }
  }

  /// Runs `body` for blocks of rows and columns of c, in parallel.
  private func forEachBlock(_ body: (Range<Int>, Range<Int>) -> Void) {
    let cut = blocks
    let columnBlocks = (n + cut.columns - 1) / cut.columns
    parallelFor(columnBlocks * ((m + cut.rows - 1) / cut.rows)) { index in
      let (row, column) = (index / columnBlocks * cut.rows, index % columnBlocks * cut.columns)
      body(row..<min(row + cut.rows, m), column..<min(column + cut.columns, n))
    }
  }

  /// A product is added to the bias, which every thread writes where it works next.
  private func fill(
    _ rows: Range<Int>, _ columns: Range<Int>, _ c: UnsafeMutablePointer<Float>, _ width: Int,
    _ bias: UnsafePointer<Float>?
  ) {
    guard let bias else { return }
    for row in rows {
      (c + row * width + columns.lowerBound).update(from: bias + columns.lowerBound, count: columns.count)
    }
  }

  /// Rows and columns that a thread computes at a time: the columns of one depth of b, packed, stay in a core's second
  /// cache, and there is work for all threads.
  private var blocks: (rows: Int, columns: Int) {
    let threads = Parallel.isInsideItem ? 1 : Parallel.threadCount
    var parts = max(1, (n + 255) / 256)
    let rowParts = min(max(1, 4 * threads / parts), max(1, m / 48))
    if threads > 1 {
      // A few rows: the threads share the columns, down to parts that take some microseconds.
      parts = max(parts, min(2 * threads / rowParts, m * n * k / MatrixProduct.leastShared))
    }
    let panels = ((n + parts - 1) / parts + MatrixProduct.panel - 1) / MatrixProduct.panel
    return (max(1, (m + rowParts - 1) / rowParts), max(1, panels) * MatrixProduct.panel)
  }

  private func block(
    _ rows: Range<Int>, _ columns: Range<Int>, _ a: Factor, _ b: Factor, _ c: UnsafeMutablePointer<Float>,
    _ width: Int, accumulates: Bool
  ) {
    let panels = (columns.count + MatrixProduct.panel - 1) / MatrixProduct.panel
    let packed = Storage(count: panels * MatrixProduct.panel * min(k, MatrixProduct.depth))
    let out = c + rows.lowerBound * width + columns.lowerBound
    for first in stride(from: 0, to: max(k, 1), by: MatrixProduct.depth) {
      let depth = min(MatrixProduct.depth, k - first)
      MatrixProduct.pack(
        Factor(pointer: b.pointer + first * b.row + columns.lowerBound * b.step, row: b.row, step: b.step), depth,
        columns.count, packed.pointer)
      MatrixProduct(rows.count, columns.count, depth).withPacked(
        Factor(pointer: a.pointer + rows.lowerBound * a.row + first * a.step, row: a.row, step: a.step),
        packed.pointer, panelStride: depth * MatrixProduct.panel, out, width, accumulates: accumulates || first > 0)
    }
  }

  /// The same on the caller's thread, with b packed into panels.
  func withPacked(
    _ a: Factor, _ panels: UnsafePointer<Float>, panelStride: Int, _ c: UnsafeMutablePointer<Float>, _ width: Int,
    accumulates: Bool = false
  ) {
    lethe_packed_product(
      MatrixProduct.hasWideRegisters, m, n, k, a.pointer, a.row, a.step, panels, panelStride, c, width,
      accumulates ? 1 : 0)
  }

  /// Values of a factor of k rows and n columns that is packed.
  static func packedCount(_ k: Int, _ n: Int) -> Int { (n + panel - 1) / panel * panel * k }

  /// Packs a factor of k rows and n columns, one of whose distances is 1, into panels one after the other.
  static func pack(_ b: Factor, _ k: Int, _ n: Int, _ panels: UnsafeMutablePointer<Float>) {
    if b.step == 1 {
      lethe_pack_rows(b.pointer, b.row, k, n, panels)
    } else {
      precondition(b.row == 1, "a factor whose values are \(b.row) and \(b.step) apart")
      lethe_pack_columns(b.pointer, b.step, k, n, panels)
    }
  }
}
