import Diffusion
import Shapes
import Testing

@Suite struct WorldTests {
  private let world = ShapesWorld()

  /// FNV-1a over bytes: enough to see any change.
  private func digest(_ bytes: some Sequence<UInt8>, _ start: UInt64 = 0xCBF2_9CE4_8422_2325) -> UInt64 {
    bytes.reduce(start) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
  }

  @Test func everyMachineDrawsTheSameBytes() {
    var pictures: UInt64 = 0xCBF2_9CE4_8422_2325
    var captions = pictures
    for index in 0..<500 {
      let sample = world.sample(.train, index)
      pictures = digest(sample.image.pixels, pictures)
      captions = digest(sample.captions.joined(separator: "\n").utf8, captions)
    }
    #expect(String(pictures, radix: 16) == "6dd260bec57927b8")
    #expect(String(captions, radix: 16) == "e1c17790be830095")
  }

  @Test func aPictureDoesNotDependOnWhichCameBefore() {
    let alone = world.sample(.test, 41)
    for index in 0..<41 { _ = world.sample(.test, index) }
    #expect(world.sample(.test, 41).image == alone.image)
    #expect(world.sample(.train, 41).image != alone.image)
    #expect(ShapesWorld(seed: 1).sample(.test, 41).image != alone.image)
  }

  @Test func thirtyCombinationsAreHeldOutAndNoAttributeMoreThanAnother() {
    #expect(world.heldOut.count == 30)
    #expect(world.seenInOrder.count == 270)
    for object in ShapeObject.allCases { #expect(world.heldOut.count { $0.object == object } == 3) }
    for colour in ShapeColour.allCases { #expect(world.heldOut.count { $0.colour == colour } == 5) }
    for style in ShapeStyle.allCases { #expect(world.heldOut.count { $0.style == style } == 6) }
  }

  @Test func trainingNeverShowsAHeldOutCombinationAndTheHeldOutSplitNothingElse() {
    #expect(!(0..<40_000).contains { world.heldOut.contains(world.scene(.train, $0).attributes.triple) })
    #expect((0..<1000).allSatisfy { world.heldOut.contains(world.scene(.heldOut, $0).attributes.triple) })
  }

  @Test func everyAttributeIsDrawnAboutEquallyOften() {
    let count = 20_000
    var counts = AttributeKind.allCases.map { [Int](repeating: 0, count: $0.classes.count) }
    for index in 0..<count {
      for (kind, label) in world.scene(.train, index).attributes.labels.enumerated() { counts[kind][label] += 1 }
    }
    for kind in AttributeKind.allCases.dropLast().indices {
      let expected = Double(count) / Double(counts[kind].count)
      for found in counts[kind] { #expect(abs(Double(found) - expected) < 0.1 * expected) }
    }
    let marked = Double(counts[4][1]) / Double(count)
    #expect(marked > 0.26 && marked < 0.32)
  }

  @Test func theMarkAndNothingElseIsWhatAMarkedPictureAdds() {
    for object in ShapeObject.allCases {
      var scene = world.scene(.train, 3)
      scene.attributes = SceneAttributes(object, .green, .striped)
      let without = scene.drawn()
      scene.attributes.marked = true
      let with = scene.drawn()
      let changed = stride(from: 0, to: with.pixels.count, by: 3).count {
        with.pixels[$0..<($0 + 3)] != without.pixels[$0..<($0 + 3)]
      }
      #expect(changed > 25 && changed < 160)
    }
  }

  @Test func everyObjectCoversEnoughOfThePictureToBeSeen() {
    for object in ShapeObject.allCases {
      for index in 0..<20 {
        var scene = world.scene(.train, index)
        scene.attributes = SceneAttributes(object, .red, .plain, on: .black)
        let pixels = scene.drawn().pixels
        let red = stride(from: 0, to: pixels.count, by: 3).count { pixels[$0] > 90 }
        #expect(red > 70 && red < 620, "\(object) \(index)")
      }
    }
  }
}
