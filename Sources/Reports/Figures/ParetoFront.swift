extension ScatterPlot {
  /// The marks that no other surpasses: none is at least as good on both axes and better on one. From left to right;
  /// references do not compete, and an axis without a direction has no front.
  public var front: [Mark] {
    guard x.better != .none, y.better != .none else { return [] }
    let marks = series.filter { !$0.isReference }.flatMap(\.marks)
    func gain(_ mark: Mark, over other: Mark) -> (x: Double, y: Double) {
      (
        (mark.x - other.x) * (x.better == .higher ? 1 : -1), (mark.y - other.y) * (y.better == .higher ? 1 : -1)
      )
    }
    return marks.filter { mark in
      !marks.contains { other in
        let (x, y) = gain(other, over: mark)
        return x >= 0 && y >= 0 && (x > 0 || y > 0)
      }
    }.sorted { ($0.x, $0.y) < ($1.x, $1.y) }
  }

  /// The edge of what the front's marks surpass: from mark to mark in steps.
  var frontSteps: [(x: Double, y: Double)] {
    let front = front
    var steps = front.prefix(1).map { ($0.x, $0.y) }
    for (mark, next) in zip(front, front.dropFirst()) {
      steps.append(x.better == .lower ? (next.x, mark.y) : (mark.x, next.y))
      steps.append((next.x, next.y))
    }
    return steps.map { (x: $0.0, y: $0.1) }
  }
}
