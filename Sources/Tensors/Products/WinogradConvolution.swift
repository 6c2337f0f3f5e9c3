internal import CKernels

/// The minimal filtering F(4 x 4, 3 x 3): a quarter of the multiplications.
///
/// Tiles of all images of a batch are worked on in groups, whose points stay in a core's caches; the filters of a few
/// outputs at a time are transformed when they are needed.
struct WinogradConvolution: MinimalFiltering {
  let extents: FilteringExtents

  init(_ extents: FilteringExtents) { self.extents = extents }

  private static let points = 36
  /// Tiles of a group; a multiple of the panel's width.
  private static let groupSize = 128
  /// Outputs whose filters are transformed at a time; a multiple of the sixteen that the transform takes together.
  private static let outputBlock = 32

  private var tileRows: Int { (outHeight + 3) / 4 }
  private var tileColumns: Int { (outWidth + 3) / 4 }

  static func pays(_ extents: FilteringExtents) -> Bool { extents.outHeight * extents.outWidth >= 64 }

  var gradientPays: Bool { batch * tileRows * tileColumns >= 16 }

  /// Rows of tiles of one image that belong to a group.
  private struct Segment {
    let item: Int
    let rows: Range<Int>
    /// The place of the first tile in the group.
    let slot: Int
  }

  private struct Group {
    var segments: [Segment] = []
    var tiles = 0
  }

  private func groups(of size: Int) -> [Group] {
    var groups = [Group()]
    let most = max(1, size / tileColumns)
    for item in 0..<batch {
      var row = 0
      while row < tileRows {
        let room = (size - groups[groups.count - 1].tiles) / tileColumns
        if room == 0, groups[groups.count - 1].tiles > 0 { groups.append(Group()) }
        let rows = row..<min(row + max(1, room == 0 ? most : room), tileRows)
        groups[groups.count - 1].segments.append(Segment(item: item, rows: rows, slot: groups[groups.count - 1].tiles))
        groups[groups.count - 1].tiles += rows.count * tileColumns
        row = rows.upperBound
      }
    }
    return groups
  }

  private func inputTiles(_ segment: Segment) -> lethe_tiles {
    lethe_tiles(
      height: height, width: width, padding_top: padding - 4 * segment.rows.lowerBound, padding_left: padding,
      rows: segment.rows.count, columns: tileColumns)
  }

  private func outputTiles(_ segment: Segment) -> lethe_tiles {
    lethe_tiles(
      height: outHeight - 4 * segment.rows.lowerBound, width: outWidth, padding_top: 0, padding_left: 0,
      rows: segment.rows.count, columns: tileColumns)
  }

  func forward(_ x: Tensor, _ weight: Tensor, bias: Tensor?, _ result: Tensor) {
    let groups = groups(of: WinogradConvolution.groupSize)
    let most = groups.map { ($0.tiles + MatrixProduct.panel - 1) / MatrixProduct.panel }.max() ?? 0
    let pointStride = most * inputs * MatrixProduct.panel + WinogradConvolution.skew
    let inputPoints = Storage(count: WinogradConvolution.points * pointStride)
    let filters = sharedFilterPoints(weight, groups)
    for group in groups {
      transform(x.pointer, group, inputPoints.pointer, pointStride)
      parallelPieces(outputs, size: WinogradConvolution.outputBlock) { block in
        if let filters {
          let points = filters.pointer + block.lowerBound / WinogradConvolution.outputBlock * filterBlock
          multiply(group, block, points, inputPoints.pointer, pointStride, bias?.pointer, result.pointer)
        } else {
          let own = Storage(count: filterBlock)
          filterPoints(weight.pointer, block, own.pointer)
          multiply(group, block, own.pointer, inputPoints.pointer, pointStride, bias?.pointer, result.pointer)
        }
      }
    }
  }

  private func transform(
    _ x: UnsafePointer<Float>, _ group: Group, _ points: UnsafeMutablePointer<Float>, _ pointStride: Int
  ) {
    parallelPieces(inputs, size: 16) { channels in
      for segment in group.segments {
        var tiles = inputTiles(segment)
        var slots = lethe_slots(
          first: segment.slot, panel_width: MatrixProduct.panel, panel_stride: inputs * MatrixProduct.panel,
          point_stride: pointStride)
        for channel in channels {
          lethe_winograd_input(
            x + (segment.item * inputs + channel) * height * width, &tiles, &slots,
            points + channel * MatrixProduct.panel)
        }
      }
    }
  }

  /// All filters' points where several groups share them, or where the weight is small and its points are worth
  /// keeping; nil where each block's are made and used at once.
  private func sharedFilterPoints(_ weight: Tensor, _ groups: [Group]) -> Storage? {
    if groups.count == 1, groups[0].tiles <= WinogradConvolution.groupSize, weight.count <= Storage.largestKept {
      let form: Storage.Form =
        isTransposed
        ? .turnedFilterPoints(inputs: inputs, outputs: outputs) : .filterPoints(inputs: inputs, outputs: outputs)
      return weight.storage.kept(form) { allFilterPoints(weight) }
    }
    return groups.count > 1 ? allFilterPoints(weight) : nil
  }

  private func allFilterPoints(_ weight: Tensor) -> Storage {
    let size = WinogradConvolution.outputBlock
    let storage = Storage(count: (outputs + size - 1) / size * filterBlock)
    parallelPieces(outputs, size: size) { block in
      filterPoints(weight.pointer, block, storage.pointer + block.lowerBound / size * filterBlock)
    }
    return storage
  }

  /// The points of a block's filters: as (points, inputs, block), or as (points, block, inputs) where they are
  /// transposed; the last axis is filled up to whole vectors.
  private func filterPoints(
    _ weight: UnsafePointer<Float>, _ block: Range<Int>, _ points: UnsafeMutablePointer<Float>
  ) {
    if isTransposed {
      lethe_winograd_filter(
        4, weight + block.lowerBound * 9, outputs * 9, 1, inputs, block.count, points, filterStride(block.count),
        wholeVectors(inputs))
    } else {
      lethe_winograd_filter(
        4, weight + block.lowerBound * inputs * 9, inputs * 9, 0, block.count, inputs, points,
        filterStride(block.count), wholeVectors(block.count))
    }
  }

  /// Room for the points of a block of filters.
  private var filterBlock: Int { WinogradConvolution.points * filterStride(WinogradConvolution.outputBlock) }

  private func filterStride(_ block: Int) -> Int {
    (isTransposed ? block * wholeVectors(inputs) : inputs * wholeVectors(block)) + WinogradConvolution.skew
  }

  private func multiply(
    _ group: Group, _ block: Range<Int>, _ filters: UnsafePointer<Float>, _ inputPoints: UnsafePointer<Float>,
    _ pointStride: Int, _ bias: UnsafePointer<Float>?, _ result: UnsafeMutablePointer<Float>
  ) {
    let pitch = group.tiles + 16
    let outputPoints = Storage(count: WinogradConvolution.points * block.count * pitch + 16)
    let product = MatrixProduct(block.count, group.tiles, inputs)
    for point in 0..<WinogradConvolution.points {
      let filter = filters + point * filterStride(block.count)
      product.withPacked(
        isTransposed ? .rows(filter, wholeVectors(inputs)) : .columns(filter, wholeVectors(block.count)),
        inputPoints + point * pointStride, panelStride: inputs * MatrixProduct.panel,
        outputPoints.pointer + point * block.count * pitch, pitch)
    }
    for segment in group.segments {
      var tiles = outputTiles(segment)
      for output in block {
        lethe_winograd_output(
          outputPoints.pointer + (output - block.lowerBound) * pitch + segment.slot, block.count * pitch, &tiles,
          bias?[output] ?? 0,
          result + (segment.item * outputs + output) * outHeight * outWidth + 4 * segment.rows.lowerBound * outWidth)
      }
    }
  }

  /// The filtering F(3 x 3, 4 x 4).
  func weightGradient(
    _ gradient: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ result: UnsafeMutablePointer<Float>
  ) {
    for (index, group) in groups(of: 2 * WinogradConvolution.groupSize).enumerated() {
      let panels = (outputs + MatrixProduct.panel - 1) / MatrixProduct.panel
      let panelStride = group.tiles * MatrixProduct.panel
      let pointStride = panels * panelStride + WinogradConvolution.skew
      let gradientPoints = Storage(count: WinogradConvolution.points * pointStride)
      parallelPieces(outputs, size: MatrixProduct.panel) { block in
        packGradient(
          gradient, group, block, gradientPoints.pointer + block.lowerBound / MatrixProduct.panel * panelStride,
          pointStride)
      }
      parallelPieces(inputs, size: 24) { block in
        let points = pointRows(of: block, group) { segment, channel, slots, points in
          var tiles = inputTiles(segment)
          lethe_winograd_input(x + (segment.item * inputs + channel) * height * width, &tiles, slots, points)
        }
        let pitch = wholeVectors(outputs)
        let sums = Storage(count: WinogradConvolution.points * (block.count * pitch + WinogradConvolution.skew))
        let sumStride = block.count * pitch + WinogradConvolution.skew
        let product = MatrixProduct(block.count, outputs, group.tiles)
        for point in 0..<WinogradConvolution.points {
          product.withPacked(
            .rows(points.pointer + point * block.count * group.tiles, group.tiles),
            gradientPoints.pointer + point * pointStride, panelStride: panelStride, sums.pointer + point * sumStride,
            pitch)
        }
        lethe_winograd_taps(
          4, sums.pointer, sumStride, pitch, outputs, block.count, index > 0 ? 1 : 0, result + block.lowerBound * 9,
          inputs * 9)
      }
    }
  }

  /// The points of the gradient's tiles for one panel of outputs, packed: tile after tile, an output a column.
  private func packGradient(
    _ gradient: UnsafePointer<Float>, _ group: Group, _ block: Range<Int>, _ panel: UnsafeMutablePointer<Float>,
    _ pointStride: Int
  ) {
    let points = pointRows(of: block, group) { segment, output, slots, points in
      var tiles = outputTiles(segment)
      lethe_winograd_gradient(
        gradient + (segment.item * outputs + output) * outHeight * outWidth + 4 * segment.rows.lowerBound * outWidth,
        &tiles, slots, points)
    }
    for point in 0..<WinogradConvolution.points {
      lethe_pack_columns(
        points.pointer + point * block.count * group.tiles, group.tiles, group.tiles, block.count,
        panel + point * pointStride)
    }
  }

  /// The points of a group's tiles for some channels, each channel's tiles in one row: (points, channels, tiles).
  ///
  /// - Parameter transform: of one segment and channel, given where its tiles go
  private func pointRows(
    of channels: Range<Int>, _ group: Group,
    _ transform: (Segment, Int, UnsafePointer<lethe_slots>, UnsafeMutablePointer<Float>) -> Void
  ) -> Storage {
    let points = Storage(count: WinogradConvolution.points * channels.count * group.tiles)
    for segment in group.segments {
      var slots = lethe_slots(
        first: segment.slot, panel_width: group.tiles, panel_stride: 0, point_stride: channels.count * group.tiles)
      for channel in channels {
        transform(segment, channel, &slots, points.pointer + (channel - channels.lowerBound) * group.tiles)
      }
    }
    return points
  }
}
