public import Configuration

extension ReportTable {
  /// The table for other programs: numbers with all their digits, `null` where no run has the value.
  public var json: JSON {
    [
      "title": .string(title),
      "columns": .array(
        columns.map {
          [
            "key": .string($0.key), "header": .string($0.header), "unit": .string($0.unit),
            "direction": .string($0.better.rawValue),
          ]
        }),
      "rows": .array(rows.map(\.json)), "differences": .array(differences.map(\.json)),
      "notes": .array(notes.map(JSON.string)),
    ]
  }
}

extension ReportTable.Row {
  fileprivate var json: JSON {
    [
      "label": .string(label), "technique": .string(technique), "group_hash": .string(configuration),
      "reference": .bool(isReference), "cells": .array(cells.map { $0.map(\.json) ?? .null }),
      "runs": .array(runs.map { ["run_id": .string($0.id), "seed": .integer($0.seed)] }),
    ]
  }
}

extension ReportTable.Cell {
  fileprivate var json: JSON {
    [
      "mean": .number(mean), "standard_deviation": deviation.map(JSON.number) ?? .null, "count": .integer(count),
      "best": .bool(isBest),
      "interval": Self.ends(interval),
      "from_control": fromControl.map { ["mean": .number($0.mean), "interval": Self.ends($0.interval)] } ?? .null,
    ]
  }

  private static func ends(_ interval: ClosedRange<Double>?) -> JSON {
    interval.map { [.number($0.lowerBound), .number($0.upperBound)] } ?? .null
  }
}
