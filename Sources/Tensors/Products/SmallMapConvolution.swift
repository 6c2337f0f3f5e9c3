internal import CKernels

/// Convolutions of 3 x 3 filters with a stride of 1 on small maps, by the minimal filtering F(4 x 4, 3 x 3), or by
/// F(2 x 2, 3 x 3) on the smallest (Lavin and Gray, 2015): like ``WinogradConvolution``, but with channels where that
/// has tiles, which small maps have too few of to fill a register.
///
/// A value depends on its own image and filter alone.
struct SmallMapConvolution {
  let batch: Int
  let inputs: Int
  let outputs: Int
  let height: Int
  let width: Int
  let padding: Int
  /// Whether the filters are those of the gradient by the input: turned by 180 degrees, inputs and outputs exchanged.
  let isTransposed: Bool

  private static let panel = MatrixProduct.panel
  /// Channels in the lanes of a transform.
  private static let lanes = 16
  /// Inputs whose filters are transformed at a time where they are not kept: their points stay in a core's second cache.
  private static let inputBlock = 64
  /// What keeps the points of one tile from falling on each other in a cache, in values.
  private static let skew = 32

  private var outHeight: Int { height + 2 * padding - 2 }
  private var outWidth: Int { width + 2 * padding - 2 }

  /// Whether a map is small, and not so small that the transforms do not repay themselves; it depends on one image,
  /// never on the batch.
  static func pays(height: Int, width: Int, padding: Int) -> Bool {
    let (outHeight, outWidth) = (height + 2 * padding - 2, width + 2 * padding - 2)
    // The way back has input and output exchanged.
    return max(height, width, outHeight, outWidth) <= Int(LETHE_SMALL_MAP) && outHeight * outWidth >= 16
  }

  /// Whether the gradient by the filters, whose products run along the tiles of all images, repays its transforms.
  var gradientPays: Bool { batch * tiles >= 16 }

  /// Height and width of a tile of the output. Larger ones take fewer multiplications, and more memory for the points of
  /// the filters, which a few small maps do not repay.
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

  private func wholeVectors(_ count: Int) -> Int {
    (count + SmallMapConvolution.lanes - 1) / SmallMapConvolution.lanes * SmallMapConvolution.lanes
  }

  /// Images whose points are in memory at a time: those of small weights stay in a core's cache, and for large ones, which
  /// are transformed anew for each group, there are as many as repay that.
  private func groups(_ weights: Int) -> [Range<Int>] {
    let size = max(1, (weights <= Storage.largestKept ? 64 : 512) / tiles)
    return stride(from: 0, to: batch, by: size).map { $0..<min($0 + size, batch) }
  }

  /// - Parameters:
  ///   - x: (batch, inputs, height, width)
  ///   - weight: (outputs, inputs, 3, 3), or (inputs, outputs, 3, 3) for the gradient by the input
  func forward(_ x: Tensor, _ weight: Tensor, bias: Tensor?, _ result: Tensor) {
    let kept = keptFilterPoints(weight)
    // Outputs that a thread takes at a time.
    let size = Parallel.isInsideItem && kept != nil ? 4 * SmallMapConvolution.panel : SmallMapConvolution.panel
    for group in groups(weight.count) {
      let pointStride = group.count * tiles * wholeVectors(inputs) + SmallMapConvolution.skew
      let inputPoints = Storage(count: points * pointStride)
      transform(x.pointer, group, inputPoints.pointer, pointStride)
      parallelPieces(outputs, size: size) { block in
        let pitch = wholeVectors(block.count)
        let outputStride = group.count * tiles * pitch + SmallMapConvolution.skew
        let outputPoints = Storage(count: points * outputStride)
        if let kept {
          let filters = kept.pointer + block.lowerBound / SmallMapConvolution.panel * panelStride(inputs)
          multiply(
            group, 0..<inputs, inputPoints.pointer, pointStride, filters, outputPoints.pointer, outputStride, pitch)
        } else {
          let filters = Storage(count: panelStride(SmallMapConvolution.inputBlock))
          for first in stride(from: 0, to: inputs, by: SmallMapConvolution.inputBlock) {
            let channels = first..<min(first + SmallMapConvolution.inputBlock, inputs)
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
    let blocks = (inputs + SmallMapConvolution.lanes - 1) / SmallMapConvolution.lanes
    var map = inputMap
    withUnsafePointer(to: &map) { map in
      parallelPieces(group.count * blocks, size: 4) { piece in
        for index in piece {
          let (item, channel) = (index / blocks, index % blocks * SmallMapConvolution.lanes)
          lethe_small_input(
            x + ((group.lowerBound + item) * inputs + channel) * height * width,
            min(SmallMapConvolution.lanes, inputs - channel), map,
            target + item * tiles * wholeVectors(inputs) + channel, pointStride, wholeVectors(inputs))
        }
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
    var map = outputMap
    withUnsafePointer(to: &map) { map in
      for (index, item) in group.enumerated() {
        for output in stride(from: block.lowerBound, to: block.upperBound, by: SmallMapConvolution.lanes) {
          lethe_small_output(
            outputPoints + index * tiles * pitch + output - block.lowerBound, outputStride, pitch,
            bias.map { $0 + output }, min(SmallMapConvolution.lanes, block.upperBound - output), map,
            result + (item * outputs + output) * outHeight * outWidth)
        }
      }
    }
  }

  // MARK: Filters

  /// Between the points of one panel of outputs, each of which is packed as a product over so many channels reads it.
  private func filterStride(_ channels: Int) -> Int { channels * SmallMapConvolution.panel + SmallMapConvolution.skew }
  private func panelStride(_ channels: Int) -> Int { points * filterStride(channels) }

  /// The points of small weights, made once; nil where those of a panel and some channels are made and used at once.
  private func keptFilterPoints(_ weight: Tensor) -> Storage? {
    guard weight.count <= Storage.largestKept else { return nil }
    let form = Storage.Form.panelsOfFilterPoints(
      tile: tile, inputs: inputs, outputs: outputs, isTransposed: isTransposed)
    return weight.storage.kept(form) {
      let panels = (outputs + SmallMapConvolution.panel - 1) / SmallMapConvolution.panel
      let storage = Storage(count: panels * panelStride(inputs))
      parallelPieces(outputs, size: SmallMapConvolution.panel) { block in
        filterPoints(
          weight.pointer, block, 0..<inputs,
          storage.pointer + block.lowerBound / SmallMapConvolution.panel * panelStride(inputs))
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
        block.count, target, filterStride(channels.count), SmallMapConvolution.panel)
    } else {
      lethe_winograd_filter(
        Int32(tile), weight + (block.lowerBound * inputs + channels.lowerBound) * 9, inputs * 9, 0, block.count,
        channels.count, target, filterStride(channels.count), SmallMapConvolution.panel)
    }
  }

  // MARK: Gradient

  /// The gradient by the filters, (outputs, inputs, 3, 3), from that of the output.
  func weightGradient(
    _ gradient: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>
  ) {
    for group in groups(0) {
      let count = group.count * tiles
      let inputStride = count * wholeVectors(inputs) + SmallMapConvolution.skew
      let inputPoints = Storage(count: points * inputStride)
      transform(x, group, inputPoints.pointer, inputStride)
      let panels = (outputs + SmallMapConvolution.panel - 1) / SmallMapConvolution.panel
      let panelStride = count * SmallMapConvolution.panel
      let gradientStride = panels * panelStride + SmallMapConvolution.skew
      let gradientPoints = Storage(count: points * gradientStride)
      transformGradient(gradient, group, gradientPoints.pointer, gradientStride, panelStride)
      parallelPieces(inputs, size: 32) { block in
        let pitch = wholeVectors(outputs)
        let sumStride = block.count * pitch + SmallMapConvolution.skew
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
    let blocks = (outputs + SmallMapConvolution.lanes - 1) / SmallMapConvolution.lanes
    var map = outputMap
    withUnsafePointer(to: &map) { map in
      parallelPieces(group.count * blocks, size: 4) { piece in
        for index in piece {
          let (item, output) = (index / blocks, index % blocks * SmallMapConvolution.lanes)
          let (panel, lane) = output.quotientAndRemainder(dividingBy: SmallMapConvolution.panel)
          lethe_small_gradient(
            gradient + ((group.lowerBound + item) * outputs + output) * outHeight * outWidth,
            min(SmallMapConvolution.lanes, outputs - output), map,
            target + panel * panelStride + item * tiles * SmallMapConvolution.panel + lane, pointStride,
            SmallMapConvolution.panel)
        }
      }
    }
  }
}
