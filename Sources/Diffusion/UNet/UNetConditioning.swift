internal import Tensors

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Keys and values of a text for every cross-attention layer of a UNet.
///
/// They do not depend on the step, so a sampling run computes them once with ``UNet2DConditionModel/prepare(text:)``.
public struct PreparedText {
  let projections: [Attention.KeyValue]
  /// The number of texts.
  public let count: Int

  /// Texts one after the other in one batch.
  public static func batch(_ texts: [PreparedText]) -> PreparedText {
    guard let first = texts.first else { preconditionFailure("a batch of no texts") }
    guard texts.count > 1 else { return first }
    return PreparedText(
      projections: first.projections.indices.map { layer in
        Attention.KeyValue(
          key: concatenate(texts.map { $0.projections[layer].key }, axis: 0),
          value: concatenate(texts.map { $0.projections[layer].value }, axis: 0))
      },
      count: texts.reduce(0) { $0 + $1.count })
  }

  /// The same text, through whose first positions no gradient flows to the layers that projected it: the fine-tuning of
  /// cross-attention by Custom Diffusion (Kumari et al., 2023) leaves the begin token, which all prompts share, alone.
  public func detachingFirst(_ positions: Int) -> PreparedText {
    func detached(_ x: Tensor) -> Tensor {
      concatenate(
        [x.slice(axis: 1, 0..<positions).detached, x.slice(axis: 1, positions..<x.shape[1])], axis: 1)
    }
    return PreparedText(
      projections: projections.map { Attention.KeyValue(key: detached($0.key), value: detached($0.value)) },
      count: count)
  }
}

extension Tensor {
  /// The whole batch again and again until it has `count` items.
  ///
  /// Guidance asks for the noise in the same latents under several texts, and until the first cross-attention the
  /// answer is the same for all of them.
  func repeated(toBatch count: Int) -> Tensor {
    let batch = shape[0]
    return batch == count ? self : concatenate(Array(repeating: self, count: count / batch), axis: 0)
  }
}

/// The time embedding as every ResNet block of a UNet adds it: (batch or 1, channels, 1, 1) each.
public struct PreparedTimesteps {
  let projections: [Tensor]
}

/// Collects, while a UNet is built, the layers whose inputs are the same for all its blocks.
final class UNetSharedLayers {
  private(set) var crossAttentions: [Attention] = []
  private(set) var timeProjections: [Linear] = []

  /// The place of the layer's result in a ``PreparedText``.
  func add(_ attention: Attention) -> Int {
    crossAttentions.append(attention)
    return crossAttentions.count - 1
  }

  /// The place of the layer's result in a ``PreparedTimesteps``.
  func add(_ projection: Linear) -> Int {
    timeProjections.append(projection)
    return timeProjections.count - 1
  }
}

/// Sines and cosines of a timestep at geometrically spaced frequencies (Vaswani et al., 2017).
struct SinusoidalEmbedding {
  let size: Int
  let cosinesFirst: Bool
  let frequencies: [Float]

  init(size: Int, cosinesFirst: Bool, frequencyShift: Double) {
    self.size = size
    self.cosinesFirst = cosinesFirst
    let half = size / 2
    // Rounded to float32 where diffusers does: at timestep 999 one unit in the last place of a frequency is visible.
    frequencies = (0..<half).map { index in
      let exponent = Float(-log(10000.0)) * Float(index) / Float(Double(half) - frequencyShift)
      return Float(exp(Double(exponent)))
    }
  }

  /// (timesteps, size)
  func callAsFunction(_ timesteps: [Float]) -> Tensor {
    let half = frequencies.count
    return Tensor.make([timesteps.count, size]) { out in
      for (row, timestep) in timesteps.enumerated() {
        let base = row * size
        for (index, frequency) in frequencies.enumerated() {
          let phase = Double(timestep * frequency)
          out[base + index] = Float(cosinesFirst ? cos(phase) : sin(phase))
          out[base + half + index] = Float(cosinesFirst ? sin(phase) : cos(phase))
        }
        if size % 2 == 1 { out[base + size - 1] = 0 }
      }
    }
  }
}
