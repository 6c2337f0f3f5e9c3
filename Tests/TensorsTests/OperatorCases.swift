import Tensors
import TestSupport
import Testing

/// One case of Tests/Fixtures/operators.json: an operator, the names of its inputs, its attributes.
struct OperatorCase: Decodable, Sendable, CustomTestStringConvertible {
  struct Attributes: Decodable, Sendable {
    var axis: Int?
    var axes: [Int]?
    var causal: Bool?
    var end: Int?
    var eps: Float?
    var groups: Int?
    var heads: Int?
    var ids: [Int]?
    var keep_dimensions: Bool?
    var labels: [Int]?
    var padding: Int?
    var permutation: [Int]?
    var shape: [Int]?
    var start: Int?
    var stride: Int?
  }

  let name: String
  let `operator`: String
  let inputs: [String]
  let attributes: Attributes

  var testDescription: String { name }

  /// Whether the values are so large, or so flat, that finite differences in float32 say nothing.
  var isExtreme: Bool { name.hasSuffix(".large") || name.hasSuffix(".tails") }

  static func all() throws -> [OperatorCase] { try Fixtures.json([OperatorCase].self, "operators.json") }

  func apply(_ x: [Tensor]) throws -> Tensor {
    switch `operator` {
    case "add": name.hasSuffix(".scalar") && !x[1].isTracked ? x[0] + x[1].item : x[0] + x[1]
    case "subtract": x[0] - x[1]
    case "multiply": x[0] * x[1]
    case "divide": x[0] / x[1]
    case "silu": x[0].silu()
    case "gelu": x[0].gelu()
    case "quick_gelu": x[0].quickGELU()
    case "relu": x[0].relu()
    case "tanh": x[0].tanh()
    case "exp": x[0].exp()
    case "log": x[0].log()
    case "sqrt": x[0].squareRoot()
    case "square": x[0].square()
    case "abs": x[0].abs()
    case "sigmoid": x[0].sigmoid()
    case "geglu": x[0].geglu()
    case "softmax": x[0].softmax()
    case "log_softmax": x[0].logSoftmax()
    case "matmul": x[0].matmul(x[1])
    case "linear": linear(x[0], weight: x[1], bias: x.count > 2 ? x[2] : nil)
    case "conv2d":
      conv2d(
        x[0], weight: x[1], bias: x.count > 2 ? x[2] : nil, stride: try value(attributes.stride),
        padding: try value(attributes.padding))
    case "conv2d_far_edges": conv2d(x[0].paddedAtEnd(1), weight: x[1], bias: x[2], stride: 2)
    case "upsample": upsampleNearest2x(x[0])
    case "group_norm":
      groupNorm(
        x[0], groups: try value(attributes.groups), weight: x[1], bias: x[2], epsilon: try value(attributes.eps))
    case "layer_norm": layerNorm(x[0], weight: x[1], bias: x[2], epsilon: try value(attributes.eps))
    case "attention":
      attention(
        query: x[0], key: x[1], value: x[2], heads: try value(attributes.heads), causal: try value(attributes.causal))
    case "embedding": embedding(x[0], try value(attributes.ids), shape: try value(attributes.shape))
    case "slice":
      x[0].slice(axis: try value(attributes.axis), try value(attributes.start)..<(try value(attributes.end)))
    case "concatenate": concatenate(x, axis: try value(attributes.axis))
    case "reshape": x[0].reshaped(try value(attributes.shape))
    case "transpose": x[0].permuted(try value(attributes.permutation))
    case "sum": reduced(x[0]) { $0.sum() } along: { $0.sum(axis: $1, keepsAxis: $2) }
    case "mean": reduced(x[0]) { $0.mean() } along: { $0.mean(axis: $1, keepsAxis: $2) }
    case "mse_loss": mseLoss(x[0], x[1])
    case "cross_entropy": crossEntropy(x[0], labels: try value(attributes.labels))
    default: throw UnknownOperator(name: `operator`)
    }
  }

  private func reduced(
    _ x: Tensor, whole: (Tensor) -> Tensor, along: (Tensor, Int, Bool) -> Tensor
  ) -> Tensor {
    guard let axes = attributes.axes else { return whole(x) }
    return axes.sorted(by: >).reduce(x) { along($0, $1, attributes.keep_dimensions == true) }
  }

  private func value<Value>(_ attribute: Value?) throws -> Value { try #require(attribute, "\(name)") }
}

struct UnknownOperator: Error {
  let name: String
}
