import Attacks
import Diffusion
import Testing
import TestSupport

@Suite("Random tokens") struct RandomTokensTests {
  @Test("an attack's tokens stand before, behind, among or in the place of the prompt, and the length stays")
  func placement() throws {
    let tokenizer = try CLIPTokenizer(folder: Fixtures.path("tiny-diffusers/tokenizer"))
    let text = tokenizer.tokens("a red circle")
    for placement in TokenPlacement.allCases {
      let place = try PromptTokens("a red circle", placement, count: 3, tokenizer)
      let ids = place.filled(with: [5, 6, 7])
      #expect(ids.count == tokenizer.modelMaxLength)
      #expect(place.positions.map { ids[$0] } == Array([5, 6, 7].prefix(place.positions.count)))
      let body = Array(ids[1...].prefix { $0 != tokenizer.endToken })
      switch placement {
      case .prefix: #expect(body == [5, 6, 7] + text)
      case .suffix: #expect(body == text + [5, 6, 7])
      case .middle: #expect(body == Array(text[..<1] + [5, 6, 7] + text[1...]))
      // Three tokens are too few for an interval before each of three.
      case .spread: #expect(body == [5, 6, 7] + text)
      case .everyThird: #expect(body == [5] + text + [6])
      case .replace: #expect(body == [5, 6, 7])
      }
    }
  }

  @Test("spread tokens have equal intervals of the prompt before them")
  func spread() throws {
    let tokenizer = try CLIPTokenizer(folder: Fixtures.path("tiny-diffusers/tokenizer"))
    let text = tokenizer.tokens("a red circle on a white background")
    let place = try PromptTokens("a red circle on a white background", .spread, count: 2, tokenizer)
    let expected = Array(text[..<2] + [5] + text[2..<4] + [6] + text[4...])
    #expect(Array(place.filled(with: [5, 6])[1...].prefix { $0 != tokenizer.endToken }) == expected)
  }

  @Test("a prompt that leaves no room is refused by its own words")
  func noRoom() throws {
    let tokenizer = try CLIPTokenizer(folder: Fixtures.path("tiny-diffusers/tokenizer"))
    let prompt = Array(repeating: "circle", count: tokenizer.modelMaxLength - 3).joined(separator: " ")
    #expect(throws: AttackError.self) { try PromptTokens(prompt, .prefix, count: 2, tokenizer) }
  }
}
