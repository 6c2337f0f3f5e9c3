internal import Foundation

/// An upright rectangle.
struct Box: Equatable, Sendable {
  var left: Double
  var top: Double
  var right: Double
  var bottom: Double

  func overlap(_ other: Box) -> Double {
    max(0, min(right, other.right) - max(left, other.left)) * max(0, min(bottom, other.bottom) - max(top, other.top))
  }

  func contains(_ other: Box) -> Bool {
    other.left >= left && other.right <= right && other.top >= top && other.bottom <= bottom
  }

  /// The place in the box that is nearest to a point.
  func nearest(to point: Point) -> Point {
    Point(min(right, max(left, point.x)), min(bottom, max(top, point.y)))
  }

  /// Whether the straight line between two points passes through the box.
  func meets(_ from: Point, _ to: Point) -> Bool {
    // Clipping: what remains of the line after each side has cut off what lies outside it.
    var enter = 0.0
    var leave = 1.0
    let along = to - from
    for (direction, distance) in [
      (-along.x, from.x - left), (along.x, right - from.x), (-along.y, from.y - top), (along.y, bottom - from.y),
    ] {
      if direction == 0 {
        if distance < 0 { return false }
      } else if direction < 0 {
        enter = max(enter, distance / direction)
      } else {
        leave = min(leave, distance / direction)
      }
    }
    return enter < leave
  }
}

/// Puts labels beside the points they belong to so that they cover neither each other, nor points, nor lines.
struct LabelPlacement {
  /// A label to be placed and the point it belongs to.
  struct Label {
    var anchor: Point
    var width: Double
    var height: Double
  }

  /// Where labels may be.
  var bounds: Box
  /// What no label should cover: the marks of all points, and other things drawn.
  var obstacles: [Box]
  /// Lines that labels should rather not cross.
  var lines: [(Point, Point)]

  /// One box for each label. Each in turn takes the cheapest place, given where those before it are; then every label
  /// may move again, given all others, until none does. The order is that of the labels, so the same plot always looks
  /// the same.
  func place(_ labels: [Label]) -> [Box] {
    let candidates = labels.map { label in
      let all = Self.candidates(for: label)
      let inside = all.filter { bounds.contains($0) }
      return inside.isEmpty ? all : inside
    }
    var chosen: [Box] = []
    for (index, places) in candidates.enumerated() {
      chosen.append(cheapest(of: places, for: index, of: labels, among: chosen))
    }
    for _ in 0..<8 {
      let before = chosen
      for (index, places) in candidates.enumerated() {
        chosen[index] = cheapest(of: places, for: index, of: labels, among: chosen)
      }
      if chosen == before { break }
    }
    return chosen
  }

  private func cheapest(of places: [Box], for own: Int, of labels: [Label], among chosen: [Box]) -> Box {
    var best = places[0]
    var bestCost = Double.infinity
    for (rank, place) in places.enumerated() {
      let cost = cost(of: place, rank: rank, for: own, of: labels, among: chosen)
      if cost < bestCost { (best, bestCost) = (place, cost) }
    }
    return best
  }

  private func cost(of place: Box, rank: Int, for own: Int, of labels: [Label], among chosen: [Box]) -> Double {
    var cost = 0.6 * Double(rank)
    func punish(_ overlap: Double) { if overlap > 0 { cost += 50 + 4 * min(60, overlap) } }
    for (index, other) in chosen.enumerated() where index != own { punish(place.overlap(other)) }
    for obstacle in obstacles { punish(place.overlap(obstacle)) }
    for (from, to) in lines where place.meets(from, to) { cost += 14 }
    // A label nearer to another point than to its own is read as the other's.
    let distance = (place.nearest(to: labels[own].anchor) - labels[own].anchor).length
    for (index, label) in labels.enumerated() where index != own {
      let excess = distance + 3 - (place.nearest(to: label.anchor) - label.anchor).length
      if excess > 0 { cost += 12 + 2 * excess }
    }
    return cost
  }

  /// Places around the point, the better ones first: beside it, diagonally, above and below, then further away.
  private static func candidates(for label: Label) -> [Box] {
    let directions: [(Double, Double)] = [
      (1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (0, 1), (1, -0.5), (-1, -0.5), (1, 0.5), (-1, 0.5),
      (0.4, -1), (-0.4, -1), (0.4, 1), (-0.4, 1),
    ]
    var places: [Box] = []
    for distance in [9.0, 17, 28, 42, 60, 84, 112] {
      for (x, y) in directions {
        // A diagonal label starts nearer to the point than one beside it, for its corner is what is near.
        let reach = x != 0 && y != 0 ? distance * 0.75 : distance
        let left = label.anchor.x + x * reach + (x > 0 ? 0 : x < 0 ? -label.width : -label.width / 2)
        let middle = label.anchor.y + y * (reach + label.height / 2)
        places.append(
          Box(left: left, top: middle - label.height / 2, right: left + label.width, bottom: middle + label.height / 2))
      }
    }
    return places
  }
}
