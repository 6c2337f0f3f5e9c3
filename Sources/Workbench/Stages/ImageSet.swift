public import Configuration
public import Diffusion
public import Store

/// The images of a run: what was asked for, and the PNG object that answers it.
///
/// A set is an object of its own, canonical JSON, so that a record names thousands of images by one digest.
public struct ImageSet: Equatable, Sendable {
  public struct Entry: Equatable, Sendable {
    public let request: ImageRequest
    /// The PNG file's bytes.
    public let digest: Digest

    public init(request: ImageRequest, digest: Digest) {
      self.request = request
      self.digest = digest
    }
  }

  static let format = "lethe image set 1"

  /// In the order in which the metrics asked for them.
  public var entries: [Entry]

  public init(_ entries: [Entry] = []) {
    self.entries = entries
  }

  /// Reads a set from a store.
  /// - Throws: `StoreError`, also if the object is no image set.
  public init(_ digest: Digest, from objects: ObjectStore) throws(StoreError) {
    let bytes = try objects.read(digest)
    guard let json = try? JSON.parse(bytes, file: "object \(digest)"), let set = ImageSet(json: json) else {
      throw StoreError(.damagedEntry, "object \(digest) is not an image set")
    }
    self = set
  }

  /// The set as it is stored.
  public var json: JSON {
    let images = entries.map { entry -> JSON in
      var members: [String: JSON] = [
        "prompt": .string(entry.request.prompt), "seed": entry.request.seed.json,
        "repetition": .integer(entry.request.repetition), "digest": .string(entry.digest.hex),
      ]
      members["noise_prompt"] = entry.request.noisePrompt.map { .string($0) }
      return .object(members)
    }
    return ["format": .string(Self.format), "images": .array(images)]
  }

  /// The digest of the set's bytes, whether or not it is in a store.
  public var digest: Digest { Digest(hashing: json.canonical()) }

  /// The picture of an entry.
  /// - Throws: `StoreError` for an object that is missing or damaged, `ImageFileError` for one that is no PNG.
  public static func picture(_ digest: Digest, from objects: ObjectStore) throws -> RGBImage {
    try PNG.decode(objects.read(digest), file: "object \(digest)")
  }

  init?(json: JSON) {
    guard json["format"]?.string == Self.format, let images = json["images"]?.array else { return nil }
    entries = []
    for image in images {
      guard let prompt = image["prompt"]?.string, let seed = image["seed"].flatMap(UInt64.init(json:)),
        let repetition = image["repetition"]?.integer, let digest = image["digest"]?.string.flatMap({ Digest(hex: $0) })
      else { return nil }
      let request = ImageRequest(
        prompt: prompt, seed: seed, repetition: repetition, noisePrompt: image["noise_prompt"]?.string)
      entries.append(Entry(request: request, digest: digest))
    }
  }
}

extension UInt64 {
  /// As a number where JSON keeps it exactly, and as text above 2⁵³.
  var json: JSON { self <= 1 << 53 ? .integer(Int(self)) : .string(String(self)) }

  init?(json: JSON) {
    if let number = json.integer, number >= 0 {
      self = UInt64(number)
    } else if let number = json.string.flatMap({ UInt64($0) }) {
      self = number
    } else {
      return nil
    }
  }
}
