internal import Configuration
internal import Metrics
internal import Store

/// What a metric found, as the store keeps it.
enum MetricValues {
  static let format = "lethe metric values 1"

  static func json(_ value: MetricValue) -> JSON {
    [
      "name": .string(value.name),
      // JSON has no name for what is not a number; absent it is undefined.
      "value": value.value.isFinite ? .number(value.value) : .null,
      "direction": .string(value.direction.rawValue), "unit": .string(value.unit), "count": .integer(value.count),
      "judge": .string(value.judge), "details": value.details,
    ]
  }

  /// The values of a stored object, for a record.
  /// - Throws: `StoreError`, also if the object holds anything else.
  static func read(_ digest: Digest, from objects: ObjectStore) throws(StoreError) -> [RunRecord.Metric] {
    let bytes = try objects.read(digest)
    guard let json = try? JSON.parse(bytes, file: "object \(digest)"), json["format"]?.string == format,
      let values = json["values"]?.array
    else { throw StoreError(.damagedEntry, "object \(digest) holds no metric values") }
    return values.map { value in
      RunRecord.Metric(
        name: value["name"]?.string ?? "", value: value["value"]?.number,
        direction: value["direction"]?.string ?? "none",
        unit: value["unit"]?.string ?? "", count: value["count"]?.integer, judge: value["judge"]?.string,
        details: value["details"])
    }
  }
}
