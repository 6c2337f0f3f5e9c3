import Tensors
import TestSupport
import Testing

@Suite("A checkpoint changes no bit of a gradient")
struct CheckpointTapeTests {
  private let stream = RandomStream(seed: 11, "checkpoints")

  /// The loss and the gradients of what `network` makes of a map and two weights.
  private func run(_ network: (Tape, Tensor, Tensor, Tensor) -> Tensor) -> [[UInt32]] {
    let tape = Tape()
    let x = tape.watch(stream.substream("x").normal([6, 5]))
    let first = tape.watch(stream.substream("first").normal([7, 5]))
    let second = tape.watch(stream.substream("second").normal([5, 7]))
    let loss = network(tape, x, first, second).square().mean()
    return ([loss] + tape.gradients(of: loss, for: [x, first, second])).map { bits($0.detached) }
  }

  private func layer(_ x: Tensor, _ first: Tensor, _ second: Tensor) -> Tensor {
    linear(linear(x, weight: first).silu(), weight: second) + x
  }

  @Test("of one block")
  func one() {
    let expected = run { layer($1, $2, $3) }
    #expect(run { tape, x, first, second in tape.checkpoint { layer(x, first, second) } } == expected)
  }

  @Test("of blocks one after the other that share their weights")
  func chain() {
    let expected = run { layer(layer(layer($1, $2, $3), $2, $3), $2, $3) }
    let found = run { tape, x, first, second in
      var x = x
      for _ in 0..<3 {
        let input = x
        x = tape.checkpoint { layer(input, first, second) }
      }
      return x
    }
    #expect(found == expected)
  }

  @Test("of blocks inside blocks")
  func nested() {
    let expected = run { layer(layer($1, $2, $3).gelu(), $2, $3) }
    let found = run { tape, x, first, second in
      tape.checkpoint {
        let inner = tape.checkpoint { layer(x, first, second) }.gelu()
        return tape.checkpoint { layer(inner, first, second) }
      }
    }
    #expect(found == expected)
  }

  @Test("where a tensor is used inside and outside of the block, before and after it")
  func shared() {
    let expected = run { _, x, first, second in
      let before = linear(x, weight: first)
      let block = layer(x, first, second)
      return linear(block * x + x, weight: first) * before
    }
    let found = run { tape, x, first, second in
      let before = linear(x, weight: first)
      let block = tape.checkpoint { layer(x, first, second) }
      return linear(block * x + x, weight: first) * before
    }
    #expect(found == expected)
  }

  @Test("of a block from whose output nothing follows, which is not computed again")
  func unused() {
    var computed = 0
    let found = run { tape, x, first, second in
      _ = tape.checkpoint {
        computed += 1
        return layer(x, first, second)
      }
      return layer(x, first, second)
    }
    #expect(found == run { layer($1, $2, $3) })
    #expect(computed == 1)
  }
}
