internal import Configuration

/// What the cache knows of one stage that was computed.
public struct CacheEntry: Equatable, Sendable {
  public let key: StageKey
  /// The objects that the stage made, by output name.
  public let outputs: [String: Digest]
  /// How long the stage took when it was computed.
  public let seconds: Double
  /// How much there was to do in that time, by kind; nil where nobody knows, or where it was only the rest of a stage
  /// that had been interrupted.
  public let work: [String: Double]?
  /// When it was computed; see ``Timestamp``.
  public let created: String

  public init(
    key: StageKey, outputs: [String: Digest], seconds: Double, work: [String: Double]? = nil,
    created: String = Timestamp.now()
  ) {
    self.key = key
    self.outputs = outputs
    self.seconds = seconds
    self.work = work
    self.created = created
  }
}

extension CacheEntry {
  static let format = "lethe cache entry 1"

  var json: JSON {
    var json: [String: JSON] = [
      "format": .string(Self.format), "key": .string(key.digest.hex), "stage": .string(key.stage), "parts": key.parts,
      "outputs": .object(outputs.mapValues { .string($0.hex) }), "seconds": .number(seconds),
      "created": .string(created),
    ]
    json["work"] = work.map { .object($0.mapValues(JSON.number)) }
    return .object(json)
  }

  /// An entry from its file; nil if it is not what the store writes, or not the entry of the key it claims.
  init?(json: JSON) {
    guard json["format"]?.string == Self.format, let stage = json["stage"]?.string, let parts = json["parts"],
      let seconds = json["seconds"]?.number, let created = json["created"]?.string,
      let outputs = Self.outputs(json["outputs"])
    else { return nil }
    let key = StageKey(stage: stage, parts: parts)
    guard json["key"]?.string == key.digest.hex else { return nil }
    let work = json["work"]?.object?.compactMapValues(\.number)
    self.init(key: key, outputs: outputs, seconds: seconds, work: work, created: created)
  }

  static func outputs(_ json: JSON?) -> [String: Digest]? {
    guard let object = json?.object else { return nil }
    var outputs: [String: Digest] = [:]
    for (name, value) in object {
      guard let hex = value.string, let digest = Digest(hex: hex) else { return nil }
      outputs[name] = digest
    }
    return outputs
  }
}
