internal import CKernels

/// The minimal filtering F(4 x 4, 3 x 3), or F(2 x 2, 3 x 3) on the smallest maps: like ``WinogradConvolution``, but
/// with channels where that has tiles, which small maps have too few of to fill a register.
struct SmallMapConvolution: MinimalFiltering {
  let extents: FilteringExtents

  init(_ extents: FilteringExtents) { self.extents = extents }

  private static let panel = MatrixProduct.panel
  /// Inputs whose filters are transformed at a time where they are not kept: their points stay in a second cache.
  private static let inputBlock = 64

  static func pays(_ extents: FilteringExtents) -> Bool {
    let (outHeight, outWidth) = (extents.outHeight, extents.outWidth)
    // The way back has input and output exchanged.
    return max(extents.height, extents.width, outHeight, outWidth) <= Int(LETHE_SMALL_MAP)
      && outHeight * outWidth >= 16
  }

  var gradientPays: Bool { batch * tiles >= 16 }

  /// Height and width of a tile of the output. Larger ones take fewer multiplications, and more memory for the points
  /// of the filters, which a few small maps do not repay.
  private var tile: Int { outHeight * outWidth >= 64 ? 4 : 2 }
  private var points: Int { (tile + 2) * (tile + 2) }
  private var tileRows: Int { (outHeight + tile - 1) / tile }
  private var tileColumns: Int { (outWidth + tile - 1) / tile }
  private var tiles: Int { tileRows * tileColumns }

  private var inputMap: lethe_map {
    lethe_map(tile: tile, height: height, width: width, padding: padding, rows: tileRows, columns: tileColumns)
  }

  private var outputMap: lethe_map {
    lethe_map(tile: tile, height: outHeight, width: outWidth, padding: 0, rows: tileRows, columns: tileColumns)
  }

  /// Images whose points are in memory at a time.
  private func groups(ofTiles most: Int) -> [Range<Int>] {
    let size = max(1, most / tiles)
    return stride(from: 0, to: batch, by: size).map { $0..<min($0 + size, batch) }
  }

  func forward(_ x: Tensor, _ weight: Tensor, bias: Tensor?, _ result: Tensor) {
    let kept = keptFilterPoints(weight)
    // Outputs that a thread takes at a time.
    let size = Parallel.isInsideItem && kept != nil ? 4 * Self.panel : Self.panel
    // Few tiles stay in a core's cache; filters that are transformed anew for each group need more to repay that.
    for group in groups(ofTiles: kept != nil ? 64 : 512) {
      let pointStride = group.count * tiles * wholeVectors(inputs) + Self.skew
      let inputPoints = Storage(count: points * pointStride)
      transform(x.pointer, group, inputPoints.pointer, pointStride)
      parallelPieces(outputs, size: size) { block in
        let pitch = wholeVectors(block.count)
        let outputStride = group.count * tiles * pitch + Self.skew
        let outputPoints = Storage(count: points * outputStride)
        if let kept {
          let filters = kept.pointer + block.lowerBound / Self.panel * panelStride(inputs)
          multiply(
            group, 0..<inputs, inputPoints.pointer, pointStride, filters, outputPoints.pointer, outputStride, pitch)
        } else {
          let filters = Storage(count: panelStride(Self.inputBlock))
          for first in stride(from: 0, to: inputs, by: Self.inputBlock) {
            let channels = first..<min(first + Self.inputBlock, inputs)
            filterPoints(weight.pointer, block, channels, filters.pointer)
            multiply(
              group, channels, inputPoints.pointer, pointStride, filters.pointer, outputPoints.pointer, outputStride,
              pitch)
          }
        }
        write(group, block, outputPoints.pointer, outputStride, pitch, bias?.pointer, result.pointer)
      }
    }
  }

  /// The points of the input's tiles, (points, tiles, channels).
  private func transform(
    _ x: UnsafePointer<Float>, _ group: Range<Int>, _ target: UnsafeMutablePointer<Float>, _ pointStride: Int
  ) {
    let (map, pitch) = (inputMap, wholeVectors(inputs))
    forEachVector(of: inputs, group) { index, item, channels in
      withUnsafePointer(to: map) {
        lethe_small_input(
          x + (item * inputs + channels.lowerBound) * height * width, channels.count, $0,
          target + index * tiles * pitch + channels.lowerBound, pointStride, pitch)
      }
    }
  }

  /// Runs `body` for each image of a group and each vector of its channels, in parallel: the image's place in the group
  /// and in the batch, and the channels.
  private func forEachVector(of channels: Int, _ group: Range<Int>, _ body: (Int, Int, Range<Int>) -> Void) {
    let vectors = wholeVectors(channels) / Self.lanes
    parallelPieces(group.count * vectors, size: 4) { piece in
      for number in piece {
        let (index, first) = (number / vectors, number % vectors * Self.lanes)
        body(index, group.lowerBound + index, first..<min(first + Self.lanes, channels))
      }
    }
  }

  /// Adds up what some channels contribute to the points of a block of outputs, (points, tiles, block); the first ones
  /// set them.
  private func multiply(
    _ group: Range<Int>, _ channels: Range<Int>, _ inputPoints: UnsafePointer<Float>, _ pointStride: Int,
    _ filters: UnsafePointer<Float>, _ outputPoints: UnsafeMutablePointer<Float>, _ outputStride: Int, _ pitch: Int
  ) {
    let product = MatrixProduct(group.count * tiles, pitch, channels.count)
    for point in 0..<points {
      product.withPacked(
        .rows(inputPoints + point * pointStride + channels.lowerBound, wholeVectors(inputs)),
        filters + point * filterStride(channels.count), panelStride: panelStride(channels.count),
        outputPoints + point * outputStride, pitch, accumulates: channels.lowerBound > 0)
    }
  }

  private func write(
    _ group: Range<Int>, _ block: Range<Int>, _ outputPoints: UnsafePointer<Float>, _ outputStride: Int, _ pitch: Int,
    _ bias: UnsafePointer<Float>?, _ result: UnsafeMutablePointer<Float>
  ) {
    withUnsafePointer(to: outputMap) { map in
      for (index, item) in group.enumerated() {
        for output in stride(from: block.lowerBound, to: block.upperBound, by: Self.lanes) {
          lethe_small_output(
            outputPoints + index * tiles * pitch + output - block.lowerBound, outputStride, pitch,
            bias.map { $0 + output }, min(Self.lanes, block.upperBound - output), map,
            result + (item * outputs + output) * outHeight * outWidth)
        }
      }
    }
  }

  // MARK: Filters

  /// Between the points of one panel of outputs, each of which is packed as a product over so many channels reads it.
  private func filterStride(_ channels: Int) -> Int { channels * Self.panel + Self.skew }
  private func panelStride(_ channels: Int) -> Int { points * filterStride(channels) }

  /// The points of small weights, made once; nil where those of a panel and some channels are made and used at once.
  private func keptFilterPoints(_ weight: Tensor) -> Storage? {
    guard weight.count <= Storage.largestKept else { return nil }
    let form = Storage.Form.panelsOfFilterPoints(
      tile: tile, inputs: inputs, outputs: outputs, isTransposed: isTransposed)
    return weight.storage.kept(form) {
      let panels = (outputs + Self.panel - 1) / Self.panel
      let storage = Storage(count: panels * panelStride(inputs))
      parallelPieces(outputs, size: Self.panel) { block in
        filterPoints(
          weight.pointer, block, 0..<inputs,
          storage.pointer + block.lowerBound / Self.panel * panelStride(inputs))
      }
      return storage
    }
  }

  /// The points of up to a panel of outputs: (points, channels, panel).
  private func filterPoints(
    _ weight: UnsafePointer<Float>, _ block: Range<Int>, _ channels: Range<Int>, _ target: UnsafeMutablePointer<Float>
  ) {
    if isTransposed {
      lethe_winograd_turned_filter(
        Int32(tile), weight + (channels.lowerBound * outputs + block.lowerBound) * 9, outputs * 9, channels.count,
        block.count, target, filterStride(channels.count), Self.panel)
    } else {
      lethe_winograd_filter(
        Int32(tile), weight + (block.lowerBound * inputs + channels.lowerBound) * 9, inputs * 9, 0, block.count,
        channels.count, target, filterStride(channels.count), Self.panel)
    }
  }

  // MARK: Gradient

  func weightGradient(
    _ gradient: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>
  ) {
    for group in groups(ofTiles: 64) {
      let count = group.count * tiles
      let inputStride = count * wholeVectors(inputs) + Self.skew
      let inputPoints = Storage(count: points * inputStride)
      transform(x, group, inputPoints.pointer, inputStride)
      let panels = (outputs + Self.panel - 1) / Self.panel
      let panelStride = count * Self.panel
      let gradientStride = panels * panelStride + Self.skew
      let gradientPoints = Storage(count: points * gradientStride)
      transformGradient(gradient, group, gradientPoints.pointer, gradientStride, panelStride)
      parallelPieces(inputs, size: 32) { block in
        let pitch = wholeVectors(outputs)
        let sumStride = block.count * pitch + Self.skew
        let sums = Storage(count: points * sumStride)
        let product = MatrixProduct(block.count, pitch, count)
        for point in 0..<points {
          product.withPacked(
            .columns(inputPoints.pointer + point * inputStride + block.lowerBound, wholeVectors(inputs)),
            gradientPoints.pointer + point * gradientStride, panelStride: panelStride,
            sums.pointer + point * sumStride, pitch)
        }
        lethe_winograd_taps(
          Int32(tile), sums.pointer, sumStride, pitch, outputs, block.count, group.lowerBound > 0 ? 1 : 0,
          result + block.lowerBound * 9, inputs * 9)
      }
    }
  }

  /// The points of the gradient's tiles, packed: (points, panels, tiles, outputs of a panel).
  private func transformGradient(
    _ gradient: UnsafePointer<Float>, _ group: Range<Int>, _ target: UnsafeMutablePointer<Float>, _ pointStride: Int,
    _ panelStride: Int
  ) {
    let map = outputMap
    forEachVector(of: outputs, group) { index, item, channels in
      let (panel, lane) = channels.lowerBound.quotientAndRemainder(dividingBy: Self.panel)
      withUnsafePointer(to: map) {
        lethe_small_gradient(
          gradient + (item * outputs + channels.lowerBound) * outHeight * outWidth, channels.count, $0,
          target + panel * panelStride + index * tiles * Self.panel + lane, pointStride, Self.panel)
      }
    }
  }
}
