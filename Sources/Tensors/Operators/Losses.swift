internal import CKernels

/// The mean of squared differences over all elements.
public func mseLoss(_ prediction: Tensor, _ target: Tensor) -> Tensor {
  precondition(prediction.shape == target.shape, "a loss between shapes \(prediction.shape) and \(target.shape)")
  return (prediction - target).square().mean()
}

/// The mean of absolute differences over all elements.
public func l1Loss(_ prediction: Tensor, _ target: Tensor) -> Tensor {
  precondition(prediction.shape == target.shape, "a loss between shapes \(prediction.shape) and \(target.shape)")
  return (prediction - target).abs().mean()
}

/// The mean negative logarithm of the softmax probability of each row's label.
///
/// - Parameters:
///   - logits: (rows, classes)
///   - labels: one class a row; rows with a label of -1 do not count
public func crossEntropy(_ logits: Tensor, labels: [Int]) -> Tensor {
  let (rows, classes) = (logits.shape[0], logits.shape[1])
  precondition(labels.count == rows, "\(labels.count) labels for logits of shape \(logits.shape)")
  let counted = labels.reduce(0) { $0 + ($1 >= 0 ? 1 : 0) }
  let weight = counted == 0 ? 0 : -1 / Float(counted)
  let selection = Tensor.zeros([rows, classes])
  for (row, label) in labels.enumerated() where label >= 0 {
    precondition(label < classes, "label \(label) of \(classes) classes")
    selection.pointer[row * classes + label] = weight
  }
  return (logits.logSoftmax() * selection).sum()
}
