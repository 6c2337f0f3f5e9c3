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

  /// Weights of at most so many values are not kept in half precision: they are few, and what products make of them is
  /// kept in float32 from one call to the next.
  public static let largestWhole = Storage.largestKept

  /// What keeps a model from being built, all of it.
  public struct Problems {
    /// The names of weights that are not there.
    public var missing: [String] = []
    /// Weights of other shapes than the configuration asks for.
    public var misshapen: [(name: String, shape: [Int], expected: [Int])] = []
  }

  private final class Contents {
    var tensors: [String: Tensor]
    /// The names that a model has asked for.
    var asked: Set<String> = []
    /// What was wrong with those, where it is noted rather than thrown.
    var problems: Problems?
    let source: String
    let stream: RandomStream?
    /// What the file has of weights in a data type that is not read.
    let unread: [String: UnreadTensor]

    init(
      _ tensors: [String: Tensor], source: String, stream: RandomStream? = nil, unread: [String: UnreadTensor] = [:]
    ) {
      self.tensors = tensors
      self.source = source
      self.stream = stream
      self.unread = unread
    }
  }

  private let contents: Contents
  private let prefix: String

  private init(_ contents: Contents, prefix: String = "") {
    self.contents = contents
    self.prefix = prefix
  }

  /// - Parameters:
  ///   - source: the file or folder that errors name
  ///   - unread: what the file has under the name of a weight and in a data type that is not read
  public init(_ tensors: [String: Tensor], source: String, unread: [String: UnreadTensor] = [:]) {
    self.init(Contents(tensors, source: source, unread: unread))
  }

  /// All tensors of a safetensors file, widened to float32.
  public init(loading file: SafetensorsFile) throws {
    var tensors: [String: Tensor] = [:]
    for name in file.names { tensors[name] = try file.tensor(name) }
    self.init(tensors, source: file.path, unread: file.unread)
  }

  /// All tensors of a model's file as float32.
  ///
  /// - Parameter isMapped: whether they may show the file's own memory; see ``TensorFile``
  /// - Throws: `SafetensorsError`, `FileError` or ``WeightsError`` for a file that cannot be read, has values that are
  ///   not finite, or changes while it is read.
  public init(loading file: TensorFile, isMapped: Bool = false) throws {
    self.init(try file.finiteTensors(isMapped: isMapped), source: file.path, unread: file.unread)
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

  /// Whether there is a weight of that name. One in a data type that is not read is refused where it is asked for, and
  /// counts until then.
  public func contains(_ name: String) -> Bool {
    contents.tensors[prefix + name] != nil || contents.unread[prefix + name] != nil
  }

  /// Whether any weight lies under `name`; see ``contains(_:)``.
  public func containsScope(_ name: String) -> Bool {
    let start = prefix + name + "."
    func isInside(_ name: String) -> Bool { name.hasPrefix(start) }
    return contents.tensors.keys.contains(where: isInside) || contents.unread.keys.contains(where: isInside)
  }

  /// The weight of that name, which must have that shape.
  ///
  /// - Throws: ``WeightsError`` naming the source, the weight and both shapes.
  public func tensor(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
    let name = prefix + name
    contents.asked.insert(name)
    if let tensor = contents.tensors[name] {
      guard tensor.shape == shape else {
        if noted({ $0.misshapen.append((name, tensor.shape, shape)) }, shape) { return Tensor(unset: shape) }
        throw WeightsError(
          description:
            "\(contents.source): '\(name)' has the shape \(tensor.shape), the configuration asks for \(shape)")
      }
      return tensor
    }
    guard let stream = contents.stream else {
      if noted({ $0.missing.append(name) }, shape) { return Tensor(unset: shape) }
      if let tensor = contents.unread[name] {
        throw WeightsError(description: "\(tensor.path): '\(tensor.name)' \(tensor.problem)")
      }
      let hint = nearest(to: name, among: contents.tensors.keys.sorted()).map { " (is it '\($0)'?)" } ?? ""
      throw WeightsError(description: "\(contents.source): has no weight '\(name)'\(hint)")
    }
    let tensor = initializer.tensor(shape, stream.substream(name))
    contents.tensors[name] = tensor
    return tensor
  }

  /// From now on weights that are missing or of other shapes are noted and not thrown, so that building a model finds
  /// all of them. Such a model must not be used.
  public func noteProblems() { contents.problems = Problems() }

  /// What was noted since ``noteProblems()``, which ends the noting.
  public func takeProblems() -> Problems {
    defer { contents.problems = nil }
    return contents.problems ?? Problems()
  }

  /// Notes a problem where that is asked for and a tensor of no meaning can stand in for the weight. Its memory is
  /// never touched, but a nonsensical shape could still ask for more than there is.
  private func noted(_ note: (inout Problems) -> Void, _ shape: [Int]) -> Bool {
    guard var problems = contents.problems, shape.reduce(1.0, { $0 * Double($1) }) < 0x1p28 else { return false }
    note(&problems)
    contents.problems = problems
    return true
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

  /// What the file has under the full name of a weight that is missing, in a data type that is not read.
  public func unread(_ fullName: String) -> UnreadTensor? { contents.unread[fullName] }

  /// The file or folder these weights come from.
  public var source: String { contents.source }

  /// These weights with some of them replaced; names that are not weights are programming errors.
  public func replacing(_ replacements: [String: Tensor]) -> Weights {
    var tensors = contents.tensors
    for (name, tensor) in replacements {
      precondition(tensors[name]?.shape == tensor.shape, "'\(name)' of shape \(tensor.shape) replaces no weight")
      tensors[name] = tensor
    }
    return Weights(Contents(tensors, source: contents.source), prefix: prefix)
  }

  /// These weights with `transform` applied to each.
  public func mapValues(_ transform: (Tensor) -> Tensor) -> Weights {
    Weights(Contents(contents.tensors.mapValues(transform), source: contents.source), prefix: prefix)
  }

  /// These weights, watched by a tape.
  public func tracked(on tape: Tape) -> Weights { mapValues { tape.watch($0.detached) } }

  /// These weights rounded to float16. Those that convolutions and linear layers multiply with are kept in half
  /// precision where they have more than ``largestWhole`` values, and computed with in float32; the others, and tables
  /// of embeddings, are widened again.
  public func roundedToHalf() -> Weights {
    let rounded = contents.tensors.map { name, tensor -> (String, Tensor) in
      let half = tensor.halved()
      let staysHalf = tensor.rank >= 2 && tensor.count > Weights.largestWhole && !name.hasSuffix("_embedding.weight")
      return (name, staysHalf ? half : half.widened)
    }
    let tensors = Dictionary(rounded, uniquingKeysWith: { $1 })
    return Weights(Contents(tensors, source: contents.source), prefix: prefix)
  }

  /// The memory of all weights' values as they are kept.
  public var byteCount: Int { tensors.reduce(0) { $0 + $1.tensor.storage.byteCount } }
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
