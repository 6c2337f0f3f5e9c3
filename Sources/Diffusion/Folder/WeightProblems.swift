internal import Configuration
internal import Tensors

extension Weights {
  /// Refuses weights that building a model has not asked for: the configuration does not describe this file.
  func refuseUnused() throws {
    guard let name = surplus.first else { return }
    throw ModelFolderError(file: source, key: name, "the configuration beside this file has no such weight")
  }

  /// Refuses everything that was noted while a model was built, and weights that it has not asked for, in one sentence.
  ///
  /// - Throws: ``ModelFolderError``
  func refuseProblems() throws {
    let problems = takeProblems()
    let unread = problems.missing.compactMap { self.unread($0) }
    if let first = unread.first {
      // Several weights of the model may be one in the file.
      let others = Set(unread.map(\.name)).count - 1
      let rest = others == 0 ? "" : "; \(others) more weight\(others == 1 ? " is" : "s are") like it"
      throw ModelFolderError(file: first.path, key: first.name, first.problem + rest)
    }
    let surplus = surplus
    let shapes = problems.misshapen.map { "'\($0.name)' has \($0.shape), the configuration asks for \($0.expected)" }
    switch (problems.missing.count, problems.misshapen.count, surplus.count) {
    case (0, 0, 0): return
    case (0, 0, 1): return try refuseUnused()
    case (1, 0, 0):
      let name = problems.missing[0]
      let hint = nearest(to: name, among: names).map { " (is it '\($0)'?)" } ?? ""
      throw ModelFolderError(file: source, "has no weight '\(name)'\(hint)")
    default:
      let parts = [
        Self.listed("is without", problems.missing.map { "'\($0)'" }, "that the configuration asks for"),
        Self.listed("has", surplus.map { "'\($0)'" }, "that the configuration does not describe"),
        Self.listed("has", shapes, "of another shape"),
      ]
      throw ModelFolderError(file: source, parts.compactMap(\.self).joined(separator: "; it "))
    }
  }

  private var surplus: [String] {
    // Old text encoders keep the row numbers of their position table.
    unused.filter { !$0.hasSuffix("position_ids") }
  }

  /// At most ten of the names, and how many there are.
  private static func listed(_ verb: String, _ names: [String], _ what: String) -> String? {
    guard !names.isEmpty else { return nil }
    let rest = names.count > 10 ? " and \(names.count - 10) more" : ""
    return "\(verb) \(names.count) weight\(names.count == 1 ? "" : "s") \(what): "
      + names.prefix(10).joined(separator: ", ") + rest
  }
}
