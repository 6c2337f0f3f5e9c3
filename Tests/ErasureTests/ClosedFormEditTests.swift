import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite struct ClosedFormEditTests {
  private func normal(_ rows: Int, _ columns: Int, _ name: String) -> Matrix {
    Matrix(RandomStream(seed: 5, "closed form", name).normal([rows, columns]))
  }

  private func change(_ edited: Matrix, _ weight: Matrix) -> Double { (edited - weight).norm / weight.norm }

  @Test(arguments: [1e-3, 0.5, 1000])
  func withoutPairsTheWeightStays(_ lambda: Double) throws {
    let weight = normal(7, 5, "weight")
    #expect(change(try ClosedFormEdit(weight).edited(lambda: lambda), weight) < 1e-12)
  }

  @Test func whatIsKeptChangesNothing() throws {
    let weight = normal(7, 5, "weight")
    var edit = ClosedFormEdit(weight)
    edit.keep(normal(20, 5, "kept"), scale: 0.3)
    #expect(change(try edit.edited(lambda: 0.1), weight) < 1e-10)
    #expect(change(try edit.edited(lambda: 0), weight) < 1e-10)
  }

  @Test func sendsAnInputToItsOutputAndLeavesWhatIsAcrossIt() throws {
    let weight = normal(4, 3, "weight")
    let output = Matrix([1, -2, 3, 0.5], rows: 1, columns: 4)
    var edit = ClosedFormEdit(weight)
    edit.map(Matrix([2, 0, 0], rows: 1, columns: 3), to: output)
    let edited = ClosedFormEdit(try edit.edited(lambda: 1e-9))
    #expect((edited.output(of: Matrix([2, 0, 0], rows: 1, columns: 3)) - output).norm < 1e-6)
    let across = Matrix([0, 1, -1], rows: 1, columns: 3)
    #expect((edited.output(of: across) - edit.output(of: across)).norm < 1e-12)
  }

  /// One input c of square 4 and λ = 1: W* c = (s 4 v* + λ W c) / (s 4 + λ) with s = 0.5.
  @Test func weighsPairsAgainstTheOldWeight() throws {
    var edit = ClosedFormEdit(Matrix([3, 7], rows: 1, columns: 2))
    edit.map(Matrix([2, 0], rows: 1, columns: 2), to: Matrix([12], rows: 1, columns: 1), scale: 0.5)
    let edited = try edit.edited(lambda: 1)
    #expect(abs(edited[0, 0] * 2 - (2 * 12 + 6) / 3) < 1e-12)
    #expect(abs(edited[0, 1] - 7) < 1e-12)
  }

  @Test func refusesPairsThatLeaveTheWeightOpen() {
    var edit = ClosedFormEdit(normal(2, 3, "weight"))
    edit.map(Matrix([1, 0, 0], rows: 1, columns: 3), to: Matrix([1, 1], rows: 1, columns: 2))
    #expect(throws: ErasureError.self) { try edit.edited(lambda: 0) }
  }

  @Test func editsKeysAndValuesOfCrossAttentionAlone() throws {
    let weights = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")).unetWeights
    let edited = try ClosedFormEdit.ofCrossAttention(weights, lambda: 0.5) { _, _ in }
    #expect(edited.keys.sorted() == weights.names.filter { $0.contains("attn2.to_k") || $0.contains("attn2.to_v") })
    for (name, tensor) in edited { #expect(weights[name].map { relativeError(tensor, $0) < 1e-6 } == true) }
  }
}

@Suite struct EncodedPromptTests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func prompt(_ text: String) -> EncodedPrompt { EncodedPrompt(text, model) }

  @Test func findsAPhraseWhereverItStands() {
    let star = model.tokenizer.tokens("star")
    let before = model.tokenizer.tokens("a").count
    let found = prompt("a star").positions(of: star)
    #expect(found == Array(before + 1..<before + 1 + star.count))
    #expect(prompt("star star").positions(of: star) == Array(1...2 * star.count))
    #expect(prompt("a").positions(of: star).isEmpty)
    #expect(prompt("").positions(of: star).isEmpty && prompt("a star").positions(of: []).isEmpty)
  }

  @Test func anEmptyTextHasItsLastTokenAtTheBeginning() {
    #expect(prompt("").lastPosition == 0 && prompt(" ").lastPosition == 0)
    #expect(prompt("").states == prompt(" ").states)
  }

  @Test func alignsLastWordsEndTokensAndPadding() {
    let (long, short) = (prompt("a red star"), prompt("shape"))
    let (a, b) = long.alignedFromLast(with: short)
    #expect(a.rows == b.rows && a.rows == long.length - max(long.lastPosition, short.lastPosition))
    #expect(a.selectingRows([0]) == long.states.selectingRows([long.lastPosition]))
    #expect(b.selectingRows([1]) == short.states.selectingRows([short.endPosition]))
  }

  @Test func alignsTheTokensThatTwoPromptsShare() {
    let (old, new) = (prompt("a star on white"), prompt("a big shape on white"))
    let (a, b) = old.aligned(withSharedTokensOf: new)
    let before = model.tokenizer.tokens("a").count, behind = model.tokenizer.tokens("on white").count
    #expect(a.rows == b.rows)
    #expect(a.rows == 1 + before + behind + old.length - max(old.endPosition, new.endPosition))
    // The begin token sees nothing but itself.
    #expect(a.selectingRows([0]) == b.selectingRows([0]))
    #expect(a.selectingRows([1 + before]) == old.states.selectingRows([old.endPosition - behind]))
    #expect(b.selectingRows([1 + before]) == new.states.selectingRows([new.endPosition - behind]))
  }

  @Test func aPromptSharesAllItsTokensWithItself() {
    let (a, b) = prompt("a star on white").aligned(withSharedTokensOf: prompt("a star on white"))
    #expect(a == b && a == prompt("a star on white").states)
  }

  @Test func textThatTheEncoderDoesNotTakeDoesNotCount() {
    let long = prompt(String(repeating: "star ", count: 200))
    #expect(long.endPosition == long.length - 1)
    #expect(long.alignedFromLast(with: prompt("a")).0.rows == 2)
  }
}
