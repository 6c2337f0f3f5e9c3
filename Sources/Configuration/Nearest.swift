/// The candidate that `word` was probably meant to be, or `nil` if none is near.
///
/// Near is an edit distance (insertion, deletion, substitution, swap of neighbours) of at most a third of the longer
/// word, rounded, and at least one; letter case and `-` for `_` cost nothing. Of equally near candidates the first one
/// given wins. Where none is so near it is one that begins with the word, or that the word begins with, at a `_`:
/// `cad_erase` for `cad`, `mma` for `MMA-Diffusion`.
public func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
  let folded = fold(word)
  var best: (candidate: String, distance: Int)?
  for candidate in candidates {
    let target = fold(candidate)
    let distance = editDistance(folded, target)
    guard distance <= max(1, (max(folded.count, target.count) + 1) / 3) else { continue }
    if distance < best?.distance ?? .max { best = (candidate, distance) }
  }
  if let best { return best.candidate }
  return candidates.first { candidate in
    let (short, long) = folded.count < candidate.count ? (folded, fold(candidate)) : (fold(candidate), folded)
    return !short.isEmpty && long.starts(with: short + ["_"])
  }
}

/// The end of a refusal: `; did you mean "alpha"?` where one is near, else the list if it is short.
public func suggestion(for word: String, among candidates: [String]) -> String {
  if let name = nearest(to: word, among: candidates) { return "; did you mean \"\(name)\"?" }
  guard !candidates.isEmpty, candidates.count <= 24 else { return "" }
  return "; \(candidates.count == 1 ? "only this is" : "these are") known: \(candidates.joined(separator: ", "))"
}

private func fold(_ word: String) -> [Character] {
  word.lowercased().map { $0 == "-" || $0 == " " ? "_" : $0 }
}

/// The Damerau-Levenshtein distance in its optimal-string-alignment form.
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in 1...a.count {
    var row = [i] + Array(repeating: 0, count: b.count)
    for j in 1...b.count {
      let substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)
      row[j] = min(substitution, last[j] + 1, row[j - 1] + 1)
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], beforeLast[j - 2] + 1) }
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
