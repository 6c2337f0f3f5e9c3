public import Diffusion

/// The places of a concept's tokens among those of a prompt, each occurrence a range of positions; the begin token is
/// at position 0.
///
/// - Throws: ``ErasureError`` where the prompt does not name the concept, or names it behind the last position.
public func conceptPositions(
  of concept: String, in prompt: String, _ tokenizer: CLIPTokenizer
) throws -> [Range<Int>] {
  let (ids, wanted) = (tokenizer.encode(prompt), tokenizer.tokens(concept))
  var found: [Range<Int>] = []
  var at = 0
  while !wanted.isEmpty, at + wanted.count <= ids.count {
    if ids[at..<at + wanted.count].elementsEqual(wanted) {
      found.append(at..<at + wanted.count)
      at += wanted.count
    } else {
      at += 1
    }
  }
  guard !found.isEmpty else {
    throw ErasureError("the prompt \"\(prompt)\" does not contain the concept \"\(concept)\" as tokens of their own")
  }
  return found
}
