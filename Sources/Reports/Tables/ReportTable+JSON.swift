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
      "rows": .array(
        rows.map { row in
          [
            "label": .string(row.label), "technique": .string(row.technique), "group_hash": .string(row.configuration),
            "reference": .bool(row.isReference), "cells": .array(row.cells.map { $0.map(\.json) ?? .null }),
            "runs": .array(row.runs.map { ["run_id": .string($0.id), "seed": .integer($0.seed)] }),
          ]
        }),
      "notes": .array(notes.map(JSON.string)),
    ]
  }
}

extension ReportTable.Cell {
  fileprivate var json: JSON {
    [
      "mean": .number(mean), "standard_deviation": deviation.map(JSON.number) ?? .null, "count": .integer(count),
      "best": .bool(isBest),
      "interval": interval.map { [.number($0.lowerBound), .number($0.upperBound)] } ?? .null,
    ]
  }
}
