internal import CKernels
internal import Configuration

/// A weight that is missing or does not have the shape that a model's configuration asks for.
public struct WeightsError: Error, CustomStringConvertible, Equatable {
  public let description: String
}

/// The named tensors that a model is built from.
///
/// A model is a value built from its weights, layer by layer, each layer in a scope of its own:
///
///     init(_ weights: Weights) throws {
///       conv1 = try Conv2d(weights.scope("conv1"), ...)     // asks for conv1.weight and conv1.bias
///     }
///
/// Weights come from a file, from another set with some tensors replaced, or from nothing: an initialising set makes
/// each tensor when it is asked for, from a random stream named after it, so that the same seed gives the same model
/// in whatever order it is built. Tracked weights (``tracked(on:)``) make everything the model computes
/// differentiable with respect to them.
public struct Weights {
  /// How a tensor of a new model starts.
  public enum Initializer: Sendable {
    case zeros
    case ones
    case constant(Float)
    /// Normal values with the given standard deviation.
    case normal(Float)
    /// Uniform in +-1 / sqrt(fan in), what PyTorch's linear and convolution layers start from.
    case uniform(fanIn: Int)
  }

  private final class Contents {
    var tensors: [String: Tensor]
    /// The names that a model has asked for.
    var asked: Set<String> = []
    let source: String
    let stream: RandomStream?

    init(_ tensors: [String: Tensor], source: String, stream: RandomStream?) {
      self.tensors = tensors
      self.source = source
      self.stream = stream
    }
  }

  private let contents: Contents
  private let prefix: String

  private init(_ contents: Contents, prefix: String = "") {
    self.contents = contents
    self.prefix = prefix
  }

  /// - Parameter source: the file or folder that errors name
  public init(_ tensors: [String: Tensor], source: String) {
    self.init(Contents(tensors, source: source, stream: nil))
  }

  /// All tensors of a safetensors file, widened to float32.
  public init(loading file: SafetensorsFile) throws {
    var tensors: [String: Tensor] = [:]
    for name in file.names { tensors[name] = try file.tensor(name) }
    self.init(tensors, source: file.path)
  }

  /// Weights of a new model, made as its layers ask for them.
  public init(initialising stream: RandomStream) {
    self.init(Contents([:], source: "a new model", stream: stream))
  }

  /// The weights under `name`, seen without that prefix.
  public func scope(_ name: String) -> Weights { Weights(contents, prefix: prefix + name + ".") }

  /// The name of this scope, without a dot at its end.
  public var scopeName: String { String(prefix.dropLast()) }

  /// The full name of a weight of this scope.
  public func fullName(_ name: String) -> String { prefix + name }

  public func contains(_ name: String) -> Bool { contents.tensors[prefix + name] != nil }

  /// Whether any weight lies under `name`.
  public func containsScope(_ name: String) -> Bool {
    let start = prefix + name + "."
    return contents.tensors.keys.contains { $0.hasPrefix(start) }
  }

  /// The weight of that name, which must have that shape.
  ///
  /// - Throws: ``WeightsError`` naming the source, the weight and both shapes.
  public func tensor(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
    let name = prefix + name
    contents.asked.insert(name)
    if let tensor = contents.tensors[name] {
      guard tensor.shape == shape else {
        throw WeightsError(
          description:
            "\(contents.source): '\(name)' has the shape \(tensor.shape), the configuration asks for \(shape)")
      }
      return tensor
    }
    guard let stream = contents.stream else {
      let hint = nearest(to: name, among: contents.tensors.keys.sorted()).map { " (is it '\($0)'?)" } ?? ""
      throw WeightsError(description: "\(contents.source): has no weight '\(name)'\(hint)")
    }
    let tensor = initializer.tensor(shape, stream.substream(name))
    contents.tensors[name] = tensor
    return tensor
  }

  /// All weights by full name, in the order of their names.
  public var tensors: [(name: String, tensor: Tensor)] {
    contents.tensors.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
      .map { (name: $0.key, tensor: $0.value) }
  }

  /// All weights by full name.
  public var byName: [String: Tensor] { contents.tensors.filter { $0.key.hasPrefix(prefix) } }

  public var names: [String] { tensors.map(\.name) }

  /// The names of weights that no model has asked for since these weights were made, in order.
  public var unused: [String] { names.filter { !contents.asked.contains($0) } }

  /// The number of values in all weights.
  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.tensor.count } }

  /// The weight of that full name, if there is one.
  public subscript(fullName: String) -> Tensor? { contents.tensors[fullName] }

  /// The file or folder these weights come from.
  public var source: String { contents.source }

  /// These weights with some of them replaced; names that are not weights are programming errors.
  public func replacing(_ replacements: [String: Tensor]) -> Weights {
    var tensors = contents.tensors
    for (name, tensor) in replacements {
      precondition(tensors[name]?.shape == tensor.shape, "'\(name)' of shape \(tensor.shape) replaces no weight")
      tensors[name] = tensor
    }
    return Weights(Contents(tensors, source: contents.source, stream: nil), prefix: prefix)
  }

  /// These weights with `transform` applied to each.
  public func mapValues(_ transform: (Tensor) -> Tensor) -> Weights {
    Weights(Contents(contents.tensors.mapValues(transform), source: contents.source, stream: nil), prefix: prefix)
  }

  /// These weights, watched by a tape.
  public func tracked(on tape: Tape) -> Weights { mapValues { tape.watch($0.detached) } }

  /// These weights rounded to float16 and widened again: what a half-precision copy of the model holds.
  public func roundedToHalf() -> Weights {
    mapValues { tensor in
      Tensor.make(tensor.shape) { out in
        guard let target = out.baseAddress, !out.isEmpty else { return }
        let halves = [UInt16](unsafeUninitializedCapacity: out.count) { buffer, count in
          lethe_to_half(tensor.pointer, buffer.baseAddress!, out.count)
          count = out.count
        }
        lethe_from_half(halves, target, out.count)
      }
    }
  }
}

extension Weights.Initializer {
  fileprivate func tensor(_ shape: [Int], _ stream: RandomStream) -> Tensor {
    switch self {
    case .zeros: return Tensor.zeros(shape)
    case .ones: return Tensor.ones(shape)
    case .constant(let value): return Tensor.full(value, shape)
    case .normal(let deviation): return stream.normal(shape) * deviation
    case .uniform(let fanIn):
      let bound = 1 / Float(max(fanIn, 1)).squareRoot()
      return Tensor(stream.uniform(shape.reduce(1, *)).map { ($0 * 2 - 1) * bound }, shape: shape)
    }
  }
}
