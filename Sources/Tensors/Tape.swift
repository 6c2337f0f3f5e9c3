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
    let backward: (Tensor) -> [Tensor?]
  }

  private var operations: [Operation] = []
  private var nodeCount = 0

  public init() {}

  /// The same values, watched: what is computed from the result is recorded here.
  public func watch(_ tensor: Tensor) -> Tensor {
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
    operations.append(Operation(output: nodeCount - 1, inputs: indices, backward: backward))
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
      let inputGradients = operation.backward(gradient)
      for (index, inputGradient) in zip(operation.inputs, inputGradients) {
        if let index, let inputGradient { gradients.add(inputGradient, at: index) }
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

  mutating func add(_ gradient: Tensor, at index: Int) {
    guard let sum = sums[index] else {
      sums[index] = gradient
      return
    }
    if isOwnSum[index] {
      lethe_axpy(1, gradient.pointer, sum.pointer, sum.count)
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
      if let tape = input.node?.tape { return tape.record(self, inputs: inputs, backward: backward) }
    }
    return self
  }
}
