/// The work of one forward pass through a network, layer by layer, counted from its configuration.
///
/// A backward pass to all weights takes twice the operations of the forward pass: the gradient of every product has
/// two products.
public struct Arithmetic: Sendable, Equatable {
  public struct Layer: Sendable, Equatable {
    /// As diffusers names the layer, where it has weights; elsewhere the block that the operator stands in.
    public let name: String
    public let operation: LayerOperation
  }

  /// In the order of the pass.
  public internal(set) var layers: [Layer] = []

  /// Floating point operations; see ``LayerOperation/operations``.
  public var operations: Int { layers.reduce(0) { $0 + $1.operation.operations } }
  /// See ``LayerOperation/bytes``.
  public var bytes: Int { layers.reduce(0) { $0 + $1.operation.bytes } }

  mutating func add(_ name: String, _ operation: LayerOperation) {
    layers.append(Layer(name: name, operation: operation))
  }
}

/// A feature map on its way through a network whose work is counted.
struct CountedMap {
  var arithmetic = Arithmetic()
  let batch: Int
  let groups: Int
  var channels: Int
  var height: Int
  var width: Int

  var pixels: Int { height * width }
  var count: Int { batch * channels * pixels }

  mutating func convolution(_ name: String, outputs: Int, kernel: Int = 3, stride: Int = 1) {
    arithmetic.add(
      name,
      .convolution(
        batch: batch, inputs: channels, outputs: outputs, kernel: kernel, stride: stride, height: height,
        width: width))
    channels = outputs
    height /= stride
    width /= stride
  }

  mutating func groupNorm(_ name: String, activated: Bool = false) {
    arithmetic.add(
      name,
      .groupNorm(
        batch: batch, channels: channels, groups: groups, height: height, width: width, activated: activated))
  }

  mutating func sum(_ name: String) { arithmetic.add(name, .sum(count: count)) }

  /// A linear layer on every position of the map.
  mutating func linear(_ name: String, from inputs: Int, to outputs: Int) {
    arithmetic.add(name, .linear(batch: batch, rows: pixels, inputs: inputs, outputs: outputs))
  }

  /// A layer norm of every position of the map.
  mutating func layerNorm(_ name: String) { arithmetic.add(name, .layerNorm(rows: batch * pixels, width: channels)) }

  /// - Parameter time: the width of the time embedding, nil for a block without one
  mutating func resnet(_ name: String, outputs: Int, time: Int?) {
    let input = self
    groupNorm("\(name).norm1", activated: true)
    convolution("\(name).conv1", outputs: outputs)
    if let time {
      // One row an item: linear layers take a batch of rows for one item.
      arithmetic.add(
        "\(name).time_emb_proj", .linear(batch: 1, rows: batch, inputs: time, outputs: outputs))
      sum(name)
    }
    groupNorm("\(name).norm2", activated: true)
    convolution("\(name).conv2", outputs: outputs)
    if input.channels != outputs {
      channels = input.channels
      convolution("\(name).conv_shortcut", outputs: outputs, kernel: 1)
    }
    sum(name)
  }

  mutating func upsample(_ name: String) {
    arithmetic.add(name, .upsampling(batch: batch, channels: channels, height: height, width: width))
    height *= 2
    width *= 2
    convolution("\(name).conv", outputs: channels)
  }
}
