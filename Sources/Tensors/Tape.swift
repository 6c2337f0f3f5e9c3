internal import CKernels

/// Records what is computed from watched tensors and walks it backwards for gradients (reverse mode).
///
/// The record is flat: one entry an operator, with the numbers of its inputs, so that neither recording nor freeing
/// recurses, however deep the network. A tape serves one thread and one backward pass:
///
///     let tape = Tape()
///     let w = tape.watch(weight)
///     let loss = mseLoss(linear(x, weight: w), target)
///     let gradient = tape.gradients(of: loss, for: [w])[0]
public final class Tape {
  /// A tensor's place on its tape.
  struct Node {
    let tape: Tape
    let index: Int
  }

  private struct Operation {
    let output: Int
    let inputs: [Int?]
    let backward: Backward
  }

  private enum Backward {
    /// From the gradient of the output to those of the inputs.
    case gradients((Tensor) -> [Tensor?])
    /// Computes the output again, this time on the record.
    case replay(() -> Tensor)
  }

  private var operations: [Operation] = []
  private var nodeCount = 0
  /// While something is computed whose record is made on the way back.
  fileprivate private(set) var isSuspended = false

  public init() {}

  /// The same values, watched: what is computed from the result is recorded here.
  public func watch(_ tensor: Tensor) -> Tensor {
    precondition(!tensor.isHalf, "a gradient with respect to a weight in half precision, of shape \(tensor.shape)")
    defer { nodeCount += 1 }
    return Tensor(shape: tensor.shape, storage: tensor.storage, node: Node(tape: self, index: nodeCount))
  }

  fileprivate func record(
    _ output: Tensor, inputs: [Tensor], backward: @escaping (Tensor) -> [Tensor?]
  ) -> Tensor {
    let indices = inputs.map { input -> Int? in
      guard let node = input.node else { return nil }
      precondition(node.tape === self, "an operator on tensors of two tapes")
      return node.index
    }
    let result = watch(output)
    operations.append(Operation(output: nodeCount - 1, inputs: indices, backward: .gradients(backward)))
    return result
  }

  /// The tape that watches one of these tensors, if any does.
  public static func watching(_ tensors: Tensor...) -> Tape? {
    for tensor in tensors {
      if let tape = tensor.node?.tape { return tape }
    }
    return nil
  }

  /// What `body` computes, of which only its inputs are kept: its operators are recorded when the way back comes to
  /// them, by computing them a second time (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). Values
  /// and gradients have the same bytes as without.
  ///
  /// - Parameter body: must compute the same each time, from tensors that it holds; it is held until the gradients are
  ///   taken
  public func checkpoint(_ body: @escaping () -> Tensor) -> Tensor {
    if isSuspended { return body() }
    isSuspended = true
    let output = body()
    isSuspended = false
    let result = watch(output)
    operations.append(Operation(output: nodeCount - 1, inputs: [], backward: .replay(body)))
    return result
  }

  /// The gradients of `loss`, a single value, with respect to watched tensors, in their order; zeros where the loss
  /// does not depend on one. Empties the tape: it frees what each operator kept as soon as it has been used.
  public func gradients(of loss: Tensor, for tensors: [Tensor]) -> [Tensor] {
    precondition(loss.count == 1, "the gradient of a loss of shape \(loss.shape)")
    return gradients(of: loss, seed: Tensor.ones(loss.shape), for: tensors)
  }

  /// Like ``gradients(of:for:)`` for an output of any shape and the gradient `seed` that arrives at it.
  public func gradients(of output: Tensor, seed: Tensor, for tensors: [Tensor]) -> [Tensor] {
    precondition(seed.shape == output.shape, "a gradient of shape \(seed.shape) for an output of shape \(output.shape)")
    var gradients = Gradients(count: nodeCount)
    var wanted = Set<Int>()
    for tensor in tensors {
      guard let node = tensor.node, node.tape === self else {
        preconditionFailure("a tensor that this tape does not watch")
      }
      wanted.insert(node.index)
    }
    if let node = output.node {
      precondition(node.tape === self, "an output of another tape")
      gradients.add(seed, at: node.index)
    }
    while let operation = operations.popLast() {
      guard let gradient = gradients.take(operation.output, keep: wanted.contains(operation.output)) else { continue }
      switch operation.backward {
      case .gradients(let backward):
        for (index, inputGradient) in zip(operation.inputs, backward(gradient)) {
          if let index, let inputGradient { gradients.add(inputGradient, at: index) }
        }
      case .replay(let body):
        guard let node = body().node else { continue }
        gradients.makeRoom(count: nodeCount)
        gradients.add(gradient, at: node.index)
      }
    }
    return tensors.map { tensor in
      gradients.take(tensor.node!.index, keep: true) ?? Tensor.zeros(tensor.shape)
    }
  }
}

/// Gradients on their way back, summed where several arrive at one tensor.
private struct Gradients {
  private var sums: [Tensor?]
  private var isOwnSum: [Bool]

  init(count: Int) {
    sums = Array(repeating: nil, count: count)
    isOwnSum = Array(repeating: false, count: count)
  }

  mutating func makeRoom(count: Int) {
    let missing = max(0, count - sums.count)
    sums += Array(repeating: nil, count: missing)
    isOwnSum += Array(repeating: false, count: missing)
  }

  mutating func add(_ gradient: Tensor, at index: Int) {
    guard let sum = sums[index] else {
      sums[index] = gradient
      return
    }
    if isOwnSum[index] {
      parallelPieces(sum.count) { piece in
        lethe_axpy(1, gradient.pointer + piece.lowerBound, sum.pointer + piece.lowerBound, piece.count)
      }
    } else {
      sums[index] = sum + gradient
      isOwnSum[index] = true
    }
  }

  mutating func take(_ index: Int, keep: Bool) -> Tensor? {
    defer { if !keep { sums[index] = nil } }
    return sums[index]
  }
}

extension Tensor {
  /// This tensor, recorded as computed from `inputs` where any of them is tracked.
  ///
  /// - Parameter backward: from the gradient of this tensor to those of the inputs, in order; `nil` where an input
  ///   needs none. It must keep only ``detached`` tensors, or the tape would hold itself.
  func recorded(from inputs: Tensor..., backward: @escaping (Tensor) -> [Tensor?]) -> Tensor {
    recorded(from: inputs, backward: backward)
  }

  func recorded(from inputs: [Tensor], backward: @escaping (Tensor) -> [Tensor?]) -> Tensor {
    for input in inputs {
      if let tape = input.node?.tape {
        return tape.isSuspended ? self : tape.record(self, inputs: inputs, backward: backward)
      }
    }
    return self
  }
}
