import Foundation
import Store
import Testing

@Suite struct TensorSetTests {
  let folder: TemporaryFolder
  let objects: ObjectStore

  init() throws {
    folder = try TemporaryFolder()
    objects = ObjectStore(folder: folder.path)
  }

  func base() throws -> (set: TensorSet, digest: Digest) {
    let batch = ObjectBatch(objects)
    var set = TensorSet()
    try set.set("conv.weight", shape: [2, 3], values: [1, -2, 3.5, 0, .leastNonzeroMagnitude, 1e38], in: batch)
    try set.set("conv.bias", shape: [2], values: [0.25, -0.0], in: batch)
    try set.set("scale", shape: [], values: [7], in: batch)
    let digest = try set.write(in: batch)
    try batch.commit()
    return (set, digest)
  }

  @Test func givesBackEveryBit() throws {
    let (set, digest) = try base()
    let read = try TensorSet(digest, from: objects)
    #expect(read == set)
    #expect(read.names == ["conv.bias", "conv.weight", "scale"])
    #expect(read.entries["scale"]?.shape == [])
    let bias = try read.values("conv.bias", from: objects)
    #expect(bias.map(\.bitPattern) == [Float(0.25).bitPattern, Float(-0.0).bitPattern])
    #expect(try read.withValues("conv.weight", from: objects) { $0[4] } == .leastNonzeroMagnitude)
  }

  @Test func anEditedSetCostsOnlyWhatChanged() throws {
    let (set, _) = try base()
    let before = try objects.list().count
    let batch = ObjectBatch(objects)
    var edited = set
    try edited.set("conv.bias", shape: [2], values: [0.5, 0.5], in: batch)
    let digest = try edited.write(in: batch)
    try batch.commit()
    // One tensor and one manifest.
    #expect(try objects.list().count == before + 2)
    #expect(try TensorSet(digest, from: objects).changes(from: set) == ["conv.bias"])
  }

  @Test func theManifestIsCanonicalSoThatEqualSetsHaveEqualDigests() throws {
    let first = try base()
    let second = try base()
    #expect(first.digest == second.digest)
    let text = String(decoding: try objects.read(first.digest), as: UTF8.self)
    #expect(text.hasPrefix(#"{"format":"lethe tensor set 1","tensors":{"conv.bias":{"digest":""#))
  }

  @Test(arguments: [
    "not JSON", "{}", #"{"format":"lethe tensor set 1","tensors":{"a":{"dtype":"float32","shape":[-1],"digest":"x"}}}"#,
  ])
  func anotherObjectIsNoTensorSet(text: String) throws {
    let digest = try objects.add(text)
    #expect(throws: StoreError(.damagedEntry, "object \(digest) is not a tensor set")) {
      try TensorSet(digest, from: objects)
    }
  }

  @Test func aShapeThatDoesNotFitItsBytesIsRefused() throws {
    let values = try objects.add([UInt8](repeating: 0, count: 8))
    let manifest = """
      {"format":"lethe tensor set 1","tensors":{"a":{"digest":"\(values)","dtype":"float32","shape":[3]}}}
      """
    let set = try TensorSet(try objects.add(manifest), from: objects)
    let error = try #require(throws: StoreError.self) { try set.values("a", from: objects) }
    #expect(error.message == "tensor a: shape [3] needs 12 bytes, object \(values) has 8")
  }

  @Test func aShapeTooLargeToMultiplyIsRefused() throws {
    let values = try objects.add([UInt8](repeating: 0, count: 8))
    let manifest = """
      {"format":"lethe tensor set 1","tensors":{"a":{"digest":"\(values)","dtype":"float32",\
      "shape":[4294967296,4294967296,4294967296]}}}
      """
    #expect(throws: StoreError.self) { try TensorSet(try objects.add(manifest), from: objects) }
  }

  @Test func anUnknownTensorIsNamedWithItsNearestSpelling() throws {
    let (set, _) = try base()
    let error = try #require(throws: StoreError.self) { try set.values("conv.wieght", from: objects) }
    #expect(error.code == .unknownName)
    #expect(error.message == #"the tensor set has no tensor conv.wieght; did you mean "conv.weight"?"#)
  }

  @Test func aTensorChangedOnDiskIsAnErrorThatNamesTheObject() throws {
    let (set, _) = try base()
    let digest = try #require(set.entries["scale"]?.digest)
    try overwrite(objects.path(of: digest), with: [0, 0, 0, 0])
    let error = try #require(throws: StoreError.self) { try set.values("scale", from: objects) }
    #expect(error.code == .damagedObject)
    #expect(error.message.contains(digest.hex))
  }
}
