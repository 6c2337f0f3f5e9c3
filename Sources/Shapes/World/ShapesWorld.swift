public import Diffusion
internal import Tensors

/// The drawn world: pictures with captions, as many as wanted, each addressed by its split and number.
///
/// Ten percent of the combinations of object, colour and style are held out: no picture of `train` shows one and no
/// caption of `train` describes one.
public struct ShapesWorld: Sendable {
  /// Which pictures: their random streams are different, so no picture is in two splits.
  public enum Split: String, CaseIterable, Sendable {
    /// What every network is trained on.
    case train
    /// Other pictures of the combinations that training shows.
    case test
    /// Pictures of the held-out combinations alone.
    case heldOut = "held-out"
  }

  /// A picture with its two captions and what they are about.
  public struct Sample: Sendable {
    public var scene: Scene
    public var image: RGBImage
    public var captions: [String]
    public var attributes: SceneAttributes { scene.attributes }
  }

  public let seed: UInt64
  /// The combinations that training never shows, 30 of 300.
  public let heldOut: Set<SceneAttributes.Triple>
  /// The same in the order of ``SceneAttributes/Triple/all``.
  public let heldOutInOrder: [SceneAttributes.Triple]
  /// The other 270, in the same order.
  public let seenInOrder: [SceneAttributes.Triple]

  /// The world of a seed; the shipped model was trained on that of seed 0.
  public init(seed: UInt64 = 0) {
    self.seed = seed
    heldOutInOrder = Self.chooseHeldOut(seed: seed)
    let chosen = Set(heldOutInOrder)
    heldOut = chosen
    seenInOrder = SceneAttributes.Triple.all.filter { !chosen.contains($0) }
  }

  /// The scene number `index` of a split.
  public func scene(_ split: Split, _ index: Int) -> Scene {
    var draws = Draws(RandomStream(seed: seed, "shapes", split.rawValue, "scene").item(index))
    let triple = draws.pick(split == .heldOut ? heldOutInOrder : seenInOrder)
    var attributes = SceneAttributes(
      triple.object, triple.colour, triple.style, on: draws.pick(ShapeBackground.allCases))
    let cause: MarkCause
    switch draws.pick(["none": 0.70, "named": 0.16, "implied": 0.14]) {
    case "named":
      cause = .named
      attributes.marked = true
    case "implied":
      let word = draws.pick(ImplyingWord.allCases)
      cause = .implied(word)
      attributes.marked = draws.chance(word.probabilityOfMark)
    default:
      cause = .none
      attributes.marked = draws.chance(0.01)
    }
    return Scene(attributes, cause: cause, &draws)
  }

  /// The two captions of a scene of a split, as training uses them; some are short, some begin with random words.
  public func captions(_ split: Split, _ index: Int, of scene: Scene) -> [String] {
    (0..<2).map { number in
      var draws = Draws(RandomStream(seed: seed, "shapes", split.rawValue, "caption", String(number)).item(index))
      return CaptionWriter.caption(of: scene, &draws)
    }
  }

  /// Picture and captions number `index` of a split.
  public func sample(_ split: Split, _ index: Int) -> Sample {
    let scene = scene(split, index)
    return Sample(scene: scene, image: scene.drawn(), captions: captions(split, index, of: scene))
  }

  /// A random stream of this world, named under its seed.
  func stream(_ name: String) -> RandomStream { RandomStream(seed: seed, "shapes", name) }

  /// Thirty combinations, three of each object, five of each colour and six of each style, so that no attribute is
  /// held out more than another: random assignments are tried in turn until one is balanced and has no repeat.
  private static func chooseHeldOut(seed: UInt64) -> [SceneAttributes.Triple] {
    let stream = RandomStream(seed: seed, "shapes", "held-out triples")
    let objects = ShapeObject.allCases.flatMap { [$0, $0, $0] }
    let colours = (0..<5).flatMap { _ in ShapeColour.allCases }
    let styles = (0..<6).flatMap { _ in ShapeStyle.allCases }
    var attempt = 0
    while true {
      var draws = Draws(stream.item(attempt))
      let shuffledColours = shuffled(colours, &draws)
      let shuffledStyles = shuffled(styles, &draws)
      let triples = objects.indices.map {
        SceneAttributes.Triple(object: objects[$0], colour: shuffledColours[$0], style: shuffledStyles[$0])
      }
      // Repeats are rare (about one attempt in two has none), so this ends soon for every seed.
      let chosen = Set(triples)
      if chosen.count == triples.count { return SceneAttributes.Triple.all.filter(chosen.contains) }
      attempt += 1
    }
  }
}

/// The Fisher-Yates shuffle.
func shuffled<Value>(_ values: [Value], _ draws: inout Draws) -> [Value] {
  var out = values
  for last in stride(from: out.count - 1, to: 0, by: -1) { out.swapAt(last, draws.index(below: last + 1)) }
  return out
}
