import ArgumentParser
import Configuration
import Store
import Workbench

struct Transfer: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    abstract: "Try the adversarial prompts that an attack found on each model on every other one.",
    discussion: """
      Prints a matrix: a row for the model that the prompts were found on, a column for the one they are tried on. \
      Each experiment must list the attack and a metric under it. What the store has is not computed again, so that \
      another technique adds a row and a column.

        lethe transfer esd.json p_esd.json uce.json --attack unlearn_diff
        lethe transfer experiments/techniques/{esd,p_esd}.json --overlay experiments/overlays/robustness_star.json \
      --seeds 0 --attack p4d --csv transfer.csv
      """)

  @OptionGroup var experiment: ExperimentOptions

  @Option(help: ArgumentHelp("The attack, by its name in the experiments.", valueName: "name"))
  var attack: String

  @Option(help: ArgumentHelp("Write the matrix to a CSV file, too.", valueName: "file"))
  var csv: String?

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    if let csv { try WholeFile.confirmWritable(csv) }
    let runner = store.runner(try store.open(create: true))
    let points = try experiment.experiments().flatMap { try runner.points(of: $0) }
    guard points.count > 1 else { throw ValidationError("transfer takes two models or more, found \(points.count)") }
    try runner.fit(points, into: memory.budget)
    Interruption.listen()
    let matrix: TransferMatrix
    do {
      matrix = try runner.transfer(points, attack: attack, monitor: RunProgress().monitor)
    } catch is CancellationError {
      throw Exit.resumable()
    }
    if let csv { try WholeFile.write(CSV.text(records(matrix)), to: csv) }
    output.print(json(matrix), else: { text(matrix) })
  }

  private func records(_ matrix: TransferMatrix) -> [[String]] {
    [["found_on"] + matrix.labels]
      + zip(matrix.labels, matrix.cells).map { label, row in [label] + row.map { $0.value.map { "\($0)" } ?? "" } }
  }

  private func json(_ matrix: TransferMatrix) -> JSON {
    [
      "attack": .string(matrix.attack), "metric": .string(matrix.metric), "unit": .string(matrix.unit),
      "models": .array(matrix.labels.map(JSON.string)),
      "cells": .array(
        matrix.labels.indices.flatMap { found in
          matrix.labels.indices.map { tried in
            let cell = matrix.cells[found][tried]
            return [
              "found_on": .string(matrix.labels[found]), "tried_on": .string(matrix.labels[tried]),
              "value": cell.value.map { .number($0) } ?? .null, "run_id": .string(cell.run.hex),
              "interval": cell.interval.map { .array([.number($0.lower), .number($0.upper)]) } ?? .null,
            ]
          }
        }),
    ]
  }

  private func text(_ matrix: TransferMatrix) -> String {
    var columns = Columns(["found on"] + matrix.labels, numbers: Set(1...matrix.labels.count))
    for (label, row) in zip(matrix.labels, matrix.cells) {
      columns.add([label] + row.map { RunText.number($0.value) })
    }
    return "\(matrix.metric), \(matrix.unit); columns are the models that the prompts were tried on\n"
      + columns.text(wrapsLast: false)
  }
}
