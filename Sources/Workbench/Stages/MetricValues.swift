internal import Configuration
internal import Metrics
internal import Store

/// What a metric found, as the store keeps it.
enum MetricValues {
  static let format = "lethe metric values 1"

  static func json(_ value: MetricValue) -> JSON {
    var json: [String: JSON] = [
      "name": .string(value.name),
      // JSON has no name for what is not a number; absent it is undefined.
      "value": value.value.isFinite ? .number(value.value) : .null,
      "direction": .string(value.direction.rawValue), "unit": .string(value.unit), "count": .integer(value.count),
      "judge": .string(value.judge), "details": value.details, "settings": .object(value.settings),
    ]
    // An end that is not a number ends nothing.
    if let interval = value.interval, interval.lower.isFinite, interval.upper.isFinite {
      json["interval"] = RunRecord.Metric.Interval(lower: interval.lower, upper: interval.upper).json
    }
    if let prompts = value.prompts {
      let digest = Digest(hashing: JSON.array(prompts.texts.map(JSON.string)).canonical())
      json["prompts"] = ["name": .string(prompts.name), "digest": .string(digest.hex)]
    }
    return .object(json)
  }

  /// The values of a stored object, for a record.
  ///
  /// - Parameter measurement: what the metric's stage knows of how its values were measured; nil leaves that out
  /// - Throws: `StoreError`, also if the object holds anything else.
  static func read(
    _ digest: Digest, from objects: ObjectStore, measurement: MeasurementProtocol? = nil
  ) throws(StoreError) -> [RunRecord.Metric] {
    let bytes = try objects.read(digest)
    guard let json = try? JSON.parse(bytes, file: "object \(digest)"), json["format"]?.string == format,
      let values = json["values"]?.array
    else { throw StoreError(.damagedEntry, "object \(digest) holds no metric values") }
    return values.map { value in
      RunRecord.Metric(
        name: value["name"]?.string ?? "", value: value["value"]?.number,
        direction: value["direction"]?.string ?? "none",
        unit: value["unit"]?.string ?? "", count: value["count"]?.integer, judge: value["judge"]?.string,
        details: value["details"], interval: value["interval"].flatMap(RunRecord.Metric.Interval.init),
        measurement: measurement.map { completed($0, by: value) })
    }
  }

  /// The protocol of one value of a metric.
  private static func completed(_ measurement: MeasurementProtocol, by value: JSON) -> MeasurementProtocol {
    var measurement = measurement
    measurement.settings = value["settings"]?.object ?? [:]
    measurement.prompts = value["prompts"]?["name"]?.string
    measurement.promptsDigest = value["prompts"]?["digest"]?.string.flatMap { Digest(hex: $0) }
    measurement.count = value["count"]?.integer
    measurement.judge = value["judge"]?.string.flatMap { $0.isEmpty ? nil : $0 }
    return measurement
  }
}
