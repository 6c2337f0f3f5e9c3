internal import Tensors

/// An activation function, by the names that `act_fn` and `hidden_act` use.
public enum Activation: String, Sendable, CaseIterable {
  case silu
  case gelu
  case quickGELU = "quick_gelu"
  case relu

  func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .silu: x.silu()
    case .gelu: x.gelu()
    case .quickGELU: x.quickGELU()
    case .relu: x.relu()
    }
  }
}

extension ConfigurationFile {
  func activation(_ key: String, default fallback: Activation) throws -> Activation {
    let name = try string(key, default: fallback.rawValue)
    if name == "swish" { return .silu }
    guard let activation = Activation(rawValue: name) else {
      let known = Activation.allCases.map(\.rawValue).joined(separator: ", ")
      throw error(key, "the activation \"\(name)\" is not supported, only \(known)")
    }
    return activation
  }
}
