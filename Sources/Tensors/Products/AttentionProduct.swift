internal import CKernels

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Scaled dot-product attention whose scores are never all in memory (Dao et al., "FlashAttention", 2022): panels of
/// targets meet one block of sources after the other, and the way back computes the scores again.
struct AttentionProduct {
  let batch: Int
  let targets: Int
  let sources: Int
  let width: Int
  let heads: Int
  let causal: Bool

  /// Sources whose scores are computed at a time.
  private static let block = 256
  /// Targets of one item of parallel work: panels that share a block of sources in a core's cache.
  private static let strip = 4 * MatrixProduct.panel
  private static let panel = MatrixProduct.panel

  private var headWidth: Int { width / heads }
  var scale: Float { 1 / Float(headWidth).squareRoot() }

  /// What a panel of targets has gathered from the sources seen so far: a column for each target.
  private final class PanelState {
    let query: Storage
    let output: Storage
    let top = Storage(count: AttentionProduct.panel)
    let sum = Storage(count: AttentionProduct.panel)

    init(headWidth: Int) {
      query = Storage(count: headWidth * AttentionProduct.panel)
      output = Storage(count: headWidth * AttentionProduct.panel)
      top.pointer.update(repeating: -.infinity, count: AttentionProduct.panel)
      sum.pointer.update(repeating: 0, count: AttentionProduct.panel)
    }
  }

  /// - Parameter logarithms: receives, for each head and target, the logarithm of the sum of e^score
  func forward(_ query: Tensor, _ key: Tensor, _ value: Tensor, _ result: Tensor, logarithms: Storage?) {
    let (keys, values) = (rowsOfHeads(key), rowsOfHeads(value))
    let strips = (targets + AttentionProduct.strip - 1) / AttentionProduct.strip
    parallelFor(batch * heads * strips) { index in
      let (head, strip) = (index / strips, index % strips)
      let first = strip * AttentionProduct.strip
      self.strip(
        first..<min(first + AttentionProduct.strip, targets), query.pointer + offset(head, targets),
        keys.pointer + head * sources * headWidth, values.pointer + head * sources * headWidth,
        result.pointer + offset(head, targets), logarithms.map { $0.pointer + head * targets })
    }
  }

  private func strip(
    _ range: Range<Int>, _ query: UnsafePointer<Float>, _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>,
    _ result: UnsafeMutablePointer<Float>, _ logarithms: UnsafeMutablePointer<Float>?
  ) {
    let panel = AttentionProduct.panel
    let panels = stride(from: range.lowerBound, to: range.upperBound, by: panel).map { first in
      (targets: first..<min(first + panel, range.upperBound), state: PanelState(headWidth: headWidth))
    }
    for (targets, state) in panels {
      MatrixProduct.pack(
        .columns(query + targets.lowerBound * width, width), headWidth, targets.count, state.query.pointer)
    }
    let scores = Storage(count: AttentionProduct.block * panel), correction = Storage(count: panel)
    for first in stride(from: 0, to: sources, by: AttentionProduct.block) {
      let count = min(AttentionProduct.block, sources - first)
      for (targets, state) in panels where !causal || first < targets.upperBound {
        MatrixProduct(count, panel, headWidth).withPacked(
          .rows(key + first * headWidth, headWidth), state.query.pointer, panelStride: 0, scores.pointer, panel)
        lethe_attention_block(
          scores.pointer, count, scale, causal ? 1 : 0, first, targets.lowerBound, state.top.pointer,
          state.sum.pointer, correction.pointer)
        if first > 0 { lethe_scale_columns(state.output.pointer, headWidth, correction.pointer) }
        MatrixProduct(headWidth, panel, count).withPacked(
          .columns(value + first * headWidth, headWidth), scores.pointer, panelStride: 0, state.output.pointer, panel,
          accumulates: first > 0)
      }
    }
    for (targets, state) in panels {
      for target in 0..<targets.count {
        let sum = state.sum.pointer[target]
        logarithms?[targets.lowerBound + target] = state.top.pointer[target] + logf(sum)
        correction.pointer[target] = 1 / sum
      }
      lethe_unpack_panel(
        state.output.pointer, headWidth, targets.count, correction.pointer, result + targets.lowerBound * width, width)
    }
  }

  /// The gradients of query, key and value. Every head is one item of work, since its targets add to the same sources.
  func backward(
    _ gradient: Tensor, _ query: Tensor, _ key: Tensor, _ value: Tensor, _ result: Tensor, _ logarithms: Storage
  ) -> [Tensor?] {
    let queryGradient = Tensor(unset: query.shape)
    let (keyGradient, valueGradient) = (Tensor(unset: key.shape), Tensor(unset: value.shape))
    let (keys, values) = (rowsOfHeads(key), rowsOfHeads(value))
    let panel = AttentionProduct.panel
    parallelFor(batch * heads) { head in
      let (atTarget, atSource) = (offset(head, targets), offset(head, sources))
      let count = sources * headWidth
      let (headKeyGradient, headValueGradient) = (Storage(count: count), Storage(count: count))
      headKeyGradient.pointer.update(repeating: 0, count: count)
      headValueGradient.pointer.update(repeating: 0, count: count)
      let backward = PanelBackward(headWidth: headWidth)
      for first in stride(from: 0, to: targets, by: panel) {
        let range = first..<min(first + panel, targets)
        let start = atTarget + first * width
        backward.read(
          query.pointer + start, gradient.pointer + start, result.pointer + start, width, range.count,
          logarithms.pointer + head * targets + first)
        for source in stride(from: 0, to: sources, by: AttentionProduct.block)
        where !causal || source < range.upperBound {
          let block = source..<min(source + AttentionProduct.block, sources)
          self.backward(
            backward, range, block, keys.pointer + (head * sources + source) * headWidth,
            values.pointer + (head * sources + source) * headWidth, headKeyGradient.pointer + source * headWidth,
            headValueGradient.pointer + source * headWidth)
        }
        lethe_unpack_panel(
          backward.queryGradient.pointer, headWidth, range.count, nil, queryGradient.pointer + start, width)
      }
      for source in 0..<sources {
        (keyGradient.pointer + atSource + source * width).update(
          from: headKeyGradient.pointer + source * headWidth, count: headWidth)
        (valueGradient.pointer + atSource + source * width).update(
          from: headValueGradient.pointer + source * headWidth, count: headWidth)
      }
    }
    return [queryGradient, keyGradient, valueGradient]
  }

  /// What the way back keeps of one panel of targets, and room for its scores.
  private final class PanelBackward {
    let headWidth: Int
    /// Queries and gradients with a column for each target, and packed with a row for each.
    let queryColumns, gradientColumns, queryRows, gradientRows: Storage
    let queryGradient: Storage
    let probabilities, scoreGradients: Storage
    let means = Storage(count: AttentionProduct.panel), logarithms = Storage(count: AttentionProduct.panel)

    init(headWidth: Int) {
      let panel = AttentionProduct.panel
      let rows = (headWidth + panel - 1) / panel * panel * panel
      self.headWidth = headWidth
      (queryColumns, gradientColumns) = (Storage(count: headWidth * panel), Storage(count: headWidth * panel))
      (queryRows, gradientRows) = (Storage(count: rows), Storage(count: rows))
      queryGradient = Storage(count: headWidth * panel)
      (probabilities, scoreGradients) = (
        Storage(count: AttentionProduct.block * panel), Storage(count: AttentionProduct.block * panel)
      )
    }

    func read(
      _ query: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>, _ result: UnsafePointer<Float>, _ width: Int,
      _ count: Int, _ logarithms: UnsafePointer<Float>
    ) {
      MatrixProduct.pack(.columns(query, width), headWidth, count, queryColumns.pointer)
      MatrixProduct.pack(.columns(gradient, width), headWidth, count, gradientColumns.pointer)
      MatrixProduct.pack(.rows(query, width), count, headWidth, queryRows.pointer)
      MatrixProduct.pack(.rows(gradient, width), count, headWidth, gradientRows.pointer)
      queryGradient.pointer.update(repeating: 0, count: queryGradient.count)
      means.pointer.update(repeating: 0, count: means.count)
      self.logarithms.pointer.update(repeating: 0, count: means.count)
      lethe_row_products(gradient, result, width, count, headWidth, means.pointer)
      self.logarithms.pointer.update(from: logarithms, count: count)
    }
  }

  private func backward(
    _ state: PanelBackward, _ range: Range<Int>, _ block: Range<Int>, _ key: UnsafePointer<Float>,
    _ value: UnsafePointer<Float>, _ keyGradient: UnsafeMutablePointer<Float>,
    _ valueGradient: UnsafeMutablePointer<Float>
  ) {
    let panel = AttentionProduct.panel
    let (probabilities, scores) = (state.probabilities.pointer, state.scoreGradients.pointer)
    let product = MatrixProduct(block.count, panel, headWidth)
    product.withPacked(.rows(key, headWidth), state.queryColumns.pointer, panelStride: 0, probabilities, panel)
    lethe_attention_probabilities(
      probabilities, block.count, scale, causal ? 1 : 0, block.lowerBound, range.lowerBound, state.logarithms.pointer)
    product.withPacked(.rows(value, headWidth), state.gradientColumns.pointer, panelStride: 0, scores, panel)
    // With all sources at hand the means come from what they are taken from: those of a single source leave nothing.
    if block.count == sources { lethe_attention_means(probabilities, scores, sources, state.means.pointer) }
    lethe_attention_score_gradient(probabilities, scores, block.count, scale, state.means.pointer)
    MatrixProduct(headWidth, panel, block.count).withPacked(
      .columns(key, headWidth), scores, panelStride: 0, state.queryGradient.pointer, panel, accumulates: true)
    let sum = MatrixProduct(block.count, headWidth, range.count)
    sum.withPacked(
      .rows(scores, panel), state.queryRows.pointer, panelStride: range.count * panel, keyGradient, headWidth,
      accumulates: true)
    sum.withPacked(
      .rows(probabilities, panel), state.gradientRows.pointer, panelStride: range.count * panel, valueGradient,
      headWidth, accumulates: true)
  }

  /// Where a head's columns begin in a tensor of (batch, positions, width).
  private func offset(_ head: Int, _ positions: Int) -> Int {
    head / heads * positions * width + head % heads * headWidth
  }

  /// (batch, sources, width) as (batch * heads, sources, width / heads).
  private func rowsOfHeads(_ tensor: Tensor) -> Storage {
    let storage = Storage(count: tensor.count)
    parallelFor(batch * heads) { head in
      let source = tensor.pointer + offset(head, sources)
      let target = storage.pointer + head * sources * headWidth
      for row in 0..<sources { (target + row * headWidth).update(from: source + row * width, count: headWidth) }
    }
    return storage
  }
}
