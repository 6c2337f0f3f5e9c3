internal import Configuration

/// Named float32 tensors of which each is an object of its own, so that what two checkpoints share is stored once.
///
/// A set is itself an object: canonical JSON that gives every name its shape and the digest of its little-endian
/// values. An edited checkpoint is the base's set with some entries replaced; it costs only what was replaced.
public struct TensorSet: Equatable, Sendable {
  /// One tensor of a set: its shape, and the object that holds its values in row-major order.
  public struct Entry: Equatable, Sendable {
    public let shape: [Int]
    public let digest: Digest

    /// How many values a tensor of this shape has.
    public var count: Int { shape.reduce(1, *) }
  }

  static let format = "lethe tensor set 1"

  public private(set) var entries: [String: Entry] = [:]

  public init() {}

  /// The names in the order of their Unicode scalars, which is the order of every listing.
  public var names: [String] { entries.keys.sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) } }

  // MARK: Writing

  /// Adds a tensor, or replaces the one of the same name. Its values join `batch` and are durable after its commit.
  /// - Precondition: `shape` multiplies to `values.count`.
  public mutating func set(
    _ name: String, shape: [Int], values: UnsafeBufferPointer<Float>, in batch: ObjectBatch
  ) throws(StoreError) {
    precondition(shape.reduce(1, *) == values.count, "\(name): shape \(shape) does not hold \(values.count) values")
    #if _endian(little)
      entries[name] = Entry(shape: shape, digest: try batch.add(UnsafeRawBufferPointer(values)))
    #else
      let bytes = values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init) }
      entries[name] = Entry(shape: shape, digest: try batch.add(bytes))
    #endif
  }

  /// Adds a tensor, or replaces the one of the same name; see
  /// ``set(_:shape:values:in:)-(_,_,UnsafeBufferPointer<Float>,_)``.
  public mutating func set(_ name: String, shape: [Int], values: [Float], in batch: ObjectBatch) throws(StoreError) {
    let result: Result<Void, StoreError> = values.withUnsafeBufferPointer { buffer in
      do throws(StoreError) { return .success(try set(name, shape: shape, values: buffer, in: batch)) } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  /// The names whose tensors differ from those of `base`, or that `base` lacks.
  public func changes(from base: TensorSet) -> [String] {
    names.filter { entries[$0] != base.entries[$0] }
  }

  /// The digest of the set's manifest, whether or not it is in a store.
  public var digest: Digest { Digest(hashing: json.canonical()) }

  /// Adds the set's manifest to `batch`; the set can be read by the digest after the commit.
  public func write(in batch: ObjectBatch) throws(StoreError) -> Digest {
    try batch.add(Array(json.canonical().utf8))
  }

  // MARK: Reading

  /// Reads the manifest of a set; tensors are read one by one with ``values(_:from:)``.
  /// - Throws: ``StoreError``, also if the object is no tensor set.
  public init(_ digest: Digest, from objects: ObjectStore) throws(StoreError) {
    let bytes = try objects.read(digest)
    guard let json = try? JSON.parse(bytes, file: "object \(digest)"), let set = TensorSet(json: json) else {
      throw StoreError(.damagedEntry, "object \(digest) is not a tensor set")
    }
    self = set
  }

  /// The values of a tensor, row-major, checked against its digest.
  public func values(_ name: String, from objects: ObjectStore) throws -> [Float] {
    try withValues(name, from: objects) { Array($0) }
  }

  /// Lends the values of a tensor from a memory map, checked against its digest.
  public func withValues<Result>(
    _ name: String, from objects: ObjectStore, _ body: (UnsafeBufferPointer<Float>) throws -> Result
  ) throws -> Result {
    guard let entry = entries[name] else {
      throw StoreError(.unknownName, "the tensor set has no tensor \(name)\(suggestion(for: name, among: names))")
    }
    return try objects.withBytes(of: entry.digest) { bytes in
      guard bytes.count == entry.count * MemoryLayout<Float>.size else {
        throw StoreError(
          .damagedEntry,
          "tensor \(name): shape \(entry.shape) needs \(entry.count * 4) bytes, "
            + "object \(entry.digest) has \(bytes.count)")
      }
      #if _endian(little)
        return try body(bytes.bindMemory(to: Float.self))
      #else
        let words = bytes.bindMemory(to: UInt32.self)
        return try words.map { Float(bitPattern: UInt32(littleEndian: $0)) }.withUnsafeBufferPointer(body)
      #endif
    }
  }

  // MARK: JSON

  var json: JSON {
    let tensors = entries.mapValues { entry -> JSON in
      [
        "dtype": "float32", "shape": .array(entry.shape.map { .integer($0) }), "digest": .string(entry.digest.hex),
      ]
    }
    return ["format": .string(Self.format), "tensors": .object(tensors)]
  }

  /// A set from its manifest; nil if the JSON is anything else.
  init?(json: JSON) {
    guard json["format"]?.string == Self.format, let tensors = json["tensors"]?.object else { return nil }
    for (name, value) in tensors {
      guard value["dtype"]?.string == "float32", let sizes = value["shape"]?.array,
        let hex = value["digest"]?.string, let digest = Digest(hex: hex)
      else { return nil }
      var shape: [Int] = []
      var count = 1
      for size in sizes {
        // The product must fit: a made-up shape may not trap later.
        guard let size = size.integer, size >= 0 else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, product <= 1 << 40 else { return nil }
        count = product
        shape.append(size)
      }
      entries[name] = Entry(shape: shape, digest: digest)
    }
  }
}
