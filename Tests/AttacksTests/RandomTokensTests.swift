import Attacks
import Diffusion
import Testing
import TestSupport

@Suite("Random tokens") struct RandomTokensTests {
  @Test("an attack's tokens stand before, behind or in the place of the prompt, and the length stays")
  func placement() throws {
    let tokenizer = try CLIPTokenizer(folder: Fixtures.path("tokenizer/shapes"))
    let text = tokenizer.tokens("a red circle")
    for placement in TokenPlacement.allCases {
      let place = try PromptTokens("a red circle", placement, count: 3, tokenizer)
      let ids = place.filled(with: [5, 6, 7])
      #expect(ids.count == tokenizer.modelMaxLength)
      #expect(Array(ids[place.room]) == [5, 6, 7])
      let body = Array(ids[1...].prefix { $0 != tokenizer.endToken })
      switch placement {
      case .prefix: #expect(body == [5, 6, 7] + text)
      case .suffix: #expect(body == text + [5, 6, 7])
      case .replace: #expect(body == [5, 6, 7])
      }
    }
  }

  @Test("a prompt that leaves no room is refused by its own words")
  func noRoom() throws {
    let tokenizer = try CLIPTokenizer(folder: Fixtures.path("tokenizer/shapes"))
    let prompt = Array(repeating: "circle", count: tokenizer.modelMaxLength - 3).joined(separator: " ")
    #expect(throws: AttackError.self) { try PromptTokens(prompt, .prefix, count: 2, tokenizer) }
  }
}
