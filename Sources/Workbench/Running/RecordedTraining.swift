internal import Configuration
internal import Shapes
internal import Store
internal import Tensors

/// A training as a run: whichever way it ends, it leaves a record.
struct RecordedTraining {
  let store: Store
  /// What is trained, as its subcommand is called.
  let name: String
  /// The file or folder of the recipe.
  let file: String
  var seed = 0
  /// The recipe with every default filled in.
  let recipe: JSON
  /// What the config hash covers beside the recipe.
  var inputs: [String: JSON] = [:]

  /// Trains.
  ///
  /// - Parameter train: hands each stage that is done to its argument, with the output that the run keeps of it.
  /// - Throws: `StoreError` where the record cannot be kept; what ends the training is in the record.
  func run(
    _ handle: @escaping (RunEvent) -> Void,
    _ train: (_ finish: (RunRecord.Stage, RunRecord.Output?) -> Void) throws -> Void
  ) throws -> RunOutcome {
    let started = Timestamp.now()
    let environment = Environment.capture(threads: Parallel.threadCount)
    let sources = try Sources(around: file, store: store)
    for warning in sources.warnings { handle(.warning(warning)) }
    var stages: [RunRecord.Stage] = []
    var outputs: [RunRecord.Output] = []
    var status = RunRecord.Status.finished
    var sentence: String?
    do {
      try train { stage, output in
        stages.append(stage)
        if let output { outputs.append(output) }
        handle(.stageFinished(stage))
      }
    } catch is CancellationError {
      status = .interrupted
    } catch let error as TrainingInterrupted {
      status = .interrupted
      sentence = error.description
    } catch {
      status = .failed
      sentence = "\(error)"
    }
    let members: [String: JSON] = ["train": .string(name), "recipe": recipe]
    let hash = Digest(hashing: JSON.object(members.merging(inputs) { $1 }).canonical())
    let record = RunRecord(
      experiment: .object(members), name: "train \(name)", file: file, technique: "train", seed: seed,
      configHash: hash, groupHash: hash, status: status, error: sentence, stages: stages, outputs: outputs,
      git: sources.git, environment: environment, started: started, finished: Timestamp.now(),
      warnings: sources.warnings)
    let outcome = RunOutcome(run: try store.add(record), record: record, conflicts: [])
    handle(.runFinished(outcome))
    return outcome
  }
}
