public import Diffusion

/// The memory of a pass beside the weights, told from the layers. What an operator needs for itself counts about twice,
/// for the allocator holds freed pieces that no later one fits into. Of Stable Diffusion's UNet that is 11 hundredths
/// above what a forward pass was measured to hold, and 7 above the gradients.
extension Arithmetic {
  /// The most bytes that a forward pass holds: what waits for the way up, and the widest operator.
  public var forwardBytes: Int {
    let waiting = layers.reduce(0) { $0 + $1.operation.waitingValues }
    let widest = layers.map(\.operation.workingValues).max() ?? 0
    return Int(1.9 * Double(MemoryLayout<Float>.size * (waiting + widest)))
  }

  /// The most bytes that the way forward and back holds: what each operator keeps until the way back comes to it, and
  /// the gradients that are there by then.
  ///
  /// - Parameter withWeights: whether gradients of all weights are asked for, which are there together in the end
  public func gradientBytes(_ checkpointing: Checkpointing, withWeights: Bool) -> Int {
    let pieces = pieces(checkpointing)
    var kept = pieces.reduce(0) { $0 + $1.kept }
    var (gradients, most) = (0, 0)
    for piece in pieces.reversed() {
      if withWeights { gradients += piece.parameters }
      most = max(most, kept + gradients + 2 * (piece.repeated + piece.widest))
      kept -= piece.kept
    }
    return MemoryLayout<Float>.size * most
  }

  /// A block, or a layer that belongs to none.
  private struct Piece {
    let block: String?
    let isCheckpoint: Bool
    var kept = 0
    /// What is computed a second time on the way back, and there together.
    var repeated = 0
    var widest = 0
    var parameters = 0
  }

  private func pieces(_ checkpointing: Checkpointing) -> [Piece] {
    var pieces: [Piece] = []
    for layer in layers {
      let (operation, block) = (layer.operation, layer.block)
      if block == nil || pieces.last?.block != block {
        let isTaken = checkpointing.takes(operation.inputs, onWayUp: layer.name.hasPrefix("up_blocks."))
        pieces.append(Piece(block: block, isCheckpoint: block != nil && isTaken))
      }
      let last = pieces.count - 1
      pieces[last].parameters += operation.parameters
      pieces[last].widest = max(pieces[last].widest, operation.workingValues)
      if pieces[last].isCheckpoint {
        pieces[last].kept = operation.results
        pieces[last].repeated += operation.results
      } else {
        pieces[last].kept += operation.results
      }
    }
    return pieces
  }
}

extension Arithmetic.Layer {
  /// The block whose output alone a checkpoint keeps: a ResNet block, or a third of a transformer block. What joins a
  /// skip to a block's input stands before the block.
  fileprivate var block: String? {
    if case .concatenation = operation { return nil }
    let parts = name.split(separator: ".")
    if let place = parts.firstIndex(of: "resnets") { return parts.prefix(place + 2).joined(separator: ".") }
    guard let place = parts.firstIndex(of: "transformer_blocks"), parts.count > place + 2 else { return nil }
    let third = ["norm1": 1, "attn1": 1, "norm2": 2, "attn2": 2, "norm3": 3, "ff": 3][String(parts[place + 2])]
    return third.map { parts.prefix(place + 2).joined(separator: ".") + ".\($0)" }
  }
}

extension LayerOperation {
  /// Values that have waited since the way down for the way up.
  fileprivate var waitingValues: Int {
    guard case .concatenation(let batch, _, let second, let height, let width) = self else { return 0 }
    return batch * second * height * width
  }

  /// Values that are there while it is computed, weights left aside.
  fileprivate var workingValues: Int { inputs + results + scratchValues }

  private var scratchValues: Int {
    guard case .convolution(let batch, let inputs, let outputs, let kernel, let stride, let height, let width) = self,
      kernel > 1
    else { return 0 }
    let pixels = height / stride * (width / stride)
    guard kernel == 3, stride == 1, pixels >= 16 else {
      return min(batch, 256 / max(pixels, 1) + 1) * inputs * kernel * kernel * pixels
    }
    if max(height, width) <= 16 {
      // Small maps: the points of up to 512 tiles, and of the filters of a panel and some channels.
      let (tile, points) = pixels >= 64 ? (4, 36) : (2, 16)
      return points * inputs * min(512, batch * ((height + tile - 1) / tile) * ((width + tile - 1) / tile) + 64)
    }
    // Minimal filtering works on 128 tiles at a time, and keeps the points of all filters where there are more.
    let tiles = batch * ((height + 3) / 4) * ((width + 3) / 4)
    return 36 * inputs * (min(tiles, 128) + (tiles > 128 ? outputs : 64))
  }
}
