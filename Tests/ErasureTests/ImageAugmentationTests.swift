import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite(.serialized) struct ImageAugmentationTests {
  private typealias Placement = ImageAugmentation.Placement

  private func stream(_ item: Int) -> RandomStream { RandomStream(seed: 3, "augmentation").item(item) }
  private let image = RandomStream(seed: 1, "image").normal([1, 3, 12, 12])

  private func pixels(_ image: Tensor, rows: Range<Int>, columns: Range<Int>) -> [Float] {
    let (size, values) = (image.shape[3], image.values)
    return rows.flatMap { row in columns.map { values[row * size + $0] } }
  }

  @Test func `a placement that fills the square changes nothing, and a mirrored one the order of columns`() {
    #expect(bits(Placement(side: 12)(image)) == bits(image))
    #expect(Placement(side: 12).mask(size: 12, reduction: 4).values.allSatisfy { $0 == 1 })
    let mirrored = Placement(side: 12, isMirrored: true)(image)
    for row in 0..<3 * 12 {
      let range = row * 12..<(row + 1) * 12
      #expect(Array(mirrored.values[range]) == image.values[range].reversed())
    }
    #expect(bits(Placement(side: 12, isMirrored: true)(mirrored)) == bits(image))
  }

  @Test func `a shrunk image keeps its mean and has padding around it`() {
    let ramp = Tensor.make([1, 1, 12, 12]) { out in
      for at in 0..<144 { out[at] = Float(at % 12) }
    }
    let small = Placement(side: 6, top: 5, left: 2)(ramp)
    let inside = pixels(small, rows: 5..<11, columns: 2..<8)
    #expect(abs(inside.reduce(0, +) / 36 - 5.5) < 1e-4)
    let all = pixels(small, rows: 0..<12, columns: 0..<12)
    #expect(all.count { $0 != 0 } == inside.count { $0 != 0 } && inside.count { $0 != 0 } == 36)
    // A flat picture stays flat: the weights of a pixel sum to one at the edges too.
    let flat = Placement(side: 5, top: 1, left: 1)(Tensor.ones([1, 1, 12, 12]))
    #expect(pixels(flat, rows: 1..<6, columns: 1..<6).allSatisfy { abs($0 - 1) < 1e-5 })
  }

  @Test func `an enlarged image is cut where the square ends`() {
    let ramp = Tensor.make([1, 1, 10, 10]) { out in
      for at in 0..<100 { out[at] = Float(at % 10) }
    }
    // Twice the size: pixel x of the square lies at (x + 4 + 1/2) / 2 - 1/2 of the image.
    let large = Placement(side: 20, top: -3, left: -4)(ramp)
    for x in 0..<10 { #expect(abs(large.values[50 + x] - ((Float(x) + 4.5) / 2 - 0.5)) < 1e-5) }
    #expect(Placement(side: 20, top: -3, left: -4).mask(size: 10, reduction: 2).values.allSatisfy { $0 == 1 })
  }

  @Test func `the mask keeps the cells that lie wholly inside the image`() {
    let mask = Placement(side: 9, top: 2, left: 4).mask(size: 16, reduction: 4)
    #expect(mask.shape == [1, 1, 4, 4])
    // Rows 4 to 11 less those that are cut: cell 1 alone; columns 4 to 12: cells 1 and 2.
    #expect(mask.values.indices.filter { mask.values[$0] == 1 } == [5, 6])
  }

  @Test func `two of three samples are shrunk, and every one has some image in the latent`() {
    let both = ImageAugmentation(mirrors: true, scales: true)
    let placements = (0..<600).map { both.placement(size: 32, reduction: 4, stream($0)) }
    let shrunk = placements.filter { $0.side <= 32 }
    #expect((350..<450).contains(shrunk.count))
    #expect((250..<350).contains(placements.filter(\.isMirrored).count))
    #expect(shrunk.allSatisfy { $0.side >= 10 && $0.top >= 0 && $0.top + $0.side <= 32 })
    let enlarged = placements.filter { $0.side > 32 }
    #expect(enlarged.allSatisfy { (38...44).contains($0.side) && $0.left <= 0 && $0.left + $0.side >= 32 })
    #expect(placements.allSatisfy { $0.mask(size: 32, reduction: 4).sum().item >= 1 })
    #expect(both.placement(size: 32, reduction: 4, stream(5)) == placements[5])
    let mirrored = ImageAugmentation(mirrors: true, scales: false)
    #expect((0..<9).allSatisfy { mirrored.placement(size: 32, reduction: 4, stream($0)).side == 32 })
    let none = ImageAugmentation(mirrors: false, scales: false)
    #expect(!none.isActive && none.placement(size: 32, reduction: 4, stream(0)) == Placement(side: 32))
  }

  // MARK: In training

  private func loss(_ change: (inout AblationSettings) -> Void) throws -> Float {
    let model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers"))
    var settings = AblationSettings()
    (settings.eraseConcept, settings.anchorConcept, settings.anchorPrompts) = ("star", "circle", ["a circle"])
    change(&settings)
    let latents = RandomStream(seed: 2, "latents").normal([4, 4, 8, 8])
    let objective = try AblationObjective(settings, model, latents: latents)
    return try objective.loss(of: [:], anchor: objective.original, stream(1)).item
  }

  @Test func `each augmentation changes the sample, and a concept that is its own anchor still has nothing to learn`()
    throws
  {
    let losses = try [(false, false), (true, false), (false, true)].map { hflip, geometric in
      try loss { ($0.hflip, $0.geometricAugmentation) = (hflip, geometric) }
    }
    #expect(Set(losses).count >= 2 && losses.allSatisfy { $0 > 0 && $0.isFinite })
    #expect(losses[2] != losses[0])
    #expect(try loss { ($0.eraseConcept, $0.geometricAugmentation) = ("circle", true) } == 0)
  }

  @Test func `a style is mirrored and not scaled, and nothing is augmented unless asked for`() throws {
    let style: [String: JSON] = ["erase_concept": "Monet", "concept_type": "style", "anchor_prompts": ["a house"]]
    #expect(try ACConfiguration.parse(.object(style.merging(["hflip": true]) { $1 })).training.augmentation.isActive)
    let scaled = JSON.object(style.merging(["geometric_augmentation": true]) { $1 })
    let error = #expect(throws: ConfigurationError.self) { try ACConfiguration.parse(scaled) }
    #expect(error?.keyPath == "geometric_augmentation")
    #expect(!AblationSettings().augmentation.isActive)
  }
}
