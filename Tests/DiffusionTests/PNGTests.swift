import Diffusion
import Foundation
import Tensors
import Testing

@Suite struct PNGTests {
  private func gradient(width: Int = 7, height: Int = 5) -> RGBImage {
    var pixels: [UInt8] = []
    for row in 0..<height {
      for column in 0..<width {
        pixels += [UInt8(column * 30), UInt8(row * 50), UInt8(255 - column * row)]
      }
    }
    return RGBImage(width: width, height: height, pixels: pixels)
  }

  private func temporaryFile() -> String {
    FileManager.default.temporaryDirectory.appendingPathComponent("lethe-\(UUID().uuidString).png").path
  }

  @Test func aPictureWrittenIsReadBack() throws {
    let file = temporaryFile()
    defer { try? FileManager.default.removeItem(atPath: file) }
    try PNG.write(gradient(), to: file)
    #expect(try PNG.read(file) == gradient())
    #expect(try PNG.encode(gradient()) == PNG.encode(gradient()))
  }

  @Test func noiseThatDoesNotCompressFits() throws {
    let words = RandomStream(seed: 1, "noise").words(64 * 64 * 3)
    let noise = RGBImage(width: 64, height: 64, pixels: words.map { UInt8(truncatingIfNeeded: $0) })
    #expect(try PNG.decode(PNG.encode(noise), file: "noise.png") == noise)
  }

  @Test func everyTruncationIsRefusedByName() throws {
    let bytes = try PNG.encode(gradient())
    // The last twelve bytes are the end chunk, which libpng does not need.
    for length in 0..<(bytes.count - 12) {
      let error = #expect(throws: ImageFileError.self) { try PNG.decode(Array(bytes[..<length]), file: "cut.png") }
      #expect(error?.description.hasPrefix("cut.png: is ") == true)
    }
  }

  @Test func otherFilesAndMissingOnesAreRefusedByName() throws {
    let text = #expect(throws: ImageFileError.self) { try PNG.decode(Array("GIF89a, not PNG".utf8), file: "a.gif") }
    #expect(text?.description == "a.gif: is not a PNG file (its first eight bytes are not the PNG signature)")
    let missing = #expect(throws: ImageFileError.self) { try PNG.read("/no/such.png") }
    #expect(missing?.description == "/no/such.png: there is no such file")
    let folder = #expect(throws: ImageFileError.self) { try PNG.read("/tmp") }
    #expect(folder?.description == "/tmp: this is a folder")
    let target = #expect(throws: ImageFileError.self) { try PNG.write(gradient(), to: "/no/such/folder/a.png") }
    #expect(target?.description.hasPrefix("/no/such/folder/a.png: cannot be written") == true)
  }

  @Test func aPictureSurvivesTheWayThroughATensor() throws {
    let tensor = gradient().tensor
    #expect(tensor.shape == [3, 5, 7])
    #expect(tensor.values[0] == -1)
    #expect(RGBImage(tensor) == gradient())
    #expect(RGBImage(Tensor([-9, .nan, 9], shape: [3, 1, 1])).pixels == [0, 0, 255])
  }

  @Test func aContactSheetHasOneCellForEachPicture() {
    let sheet = RGBImage.contactSheet([gradient(), gradient(), gradient()], columns: 2, gap: 1)
    #expect((sheet.width, sheet.height) == (17, 13))
    #expect(Array(sheet.pixels[(3 * (17 + 1))..<(3 * (17 + 8))]) == Array(gradient().pixels[..<21]))
    #expect(gradient().enlarged(by: 3).width == 21)
  }
}
