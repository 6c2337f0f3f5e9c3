internal import Tensors

/// Random choices taken one after another from a stream of their own. What a later choice gives does not depend on
/// how the earlier ones were used, only on how many there were.
struct Draws {
  private let stream: RandomStream
  private var numbers: [Float] = []
  private var used = 0

  init(_ stream: RandomStream) { self.stream = stream }

  /// A number in [0, 1).
  mutating func unit() -> Float {
    // A stream is a function of its counter, so a longer request begins with the same numbers.
    if used == numbers.count { numbers = stream.uniform(max(64, 2 * numbers.count)) }
    used += 1
    return numbers[used - 1]
  }

  /// A number in [`low`, `high`).
  mutating func number(_ low: Float, _ high: Float) -> Float { low + (high - low) * unit() }

  /// True with probability `probability`.
  mutating func chance(_ probability: Float) -> Bool { unit() < probability }

  /// An integer in 0 ..< `count`.
  mutating func index(below count: Int) -> Int { min(count - 1, Int(unit() * Float(count))) }

  /// One of `values`, all equally likely.
  mutating func pick<Value>(_ values: [Value]) -> Value { values[index(below: values.count)] }

  /// One of `choices` with the probabilities given, which sum to 1.
  mutating func pick<Value>(_ choices: KeyValuePairs<Value, Float>) -> Value {
    var left = unit()
    for (value, probability) in choices {
      if left < probability { return value }
      left -= probability
    }
    return choices[choices.count - 1].key
  }
}
