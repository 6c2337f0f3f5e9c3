import ArgumentParser
import Configuration
import Store
import Workbench

struct PlanCommand: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Show what running an experiment would compute, why the cache lacks it, and how long it takes.",
    discussion: """
        lethe plan experiments/ssd.json
        lethe plan experiments/ssd.json --set technique.config.alpha=7
        lethe plan experiments/*.json --json | jq .estimated_seconds

      Times marked \"past\" come from what such stages took in this store on the same model, scaled by the amount of \
      work; those marked \"measured\" from single passes of the model that are timed now, which of a large model takes \
      a while (--no-times leaves it out). A search for adversarial prompts may end before its time. What the cache has \
      takes none.

      An experiment that lethe run would refuse for the memory of this machine, or for that of --memory, is refused \
      here too.
      """)

  @Flag(inversion: .prefixedNo, help: "Tell how long each stage will take.")
  var times = true

  @OptionGroup var experiment: ExperimentOptions
  @OptionGroup var memory: MemoryOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let experiments = try experiment.experiments()
    let runner = store.runner(try store.open(create: true))
    let points = try experiments.flatMap { try runner.points(of: $0) }
    // What running would refuse is no plan.
    try runner.fit(points, into: memory.budget)
    try runner.check(points)
    let plans = try times
      ? runner.plansWithTimes(points, times: ModelTimes(progress: TimingBar().update))
      : points.map { try runner.plan($0) }
    for warning in plans.flatMap(\.point.warnings) { Console.warn(warning) }
    output.print(json(plans)) {
      (plans.map(text) + (times && plans.count > 1 ? ["all: \(PlanText.total(plans))"] : [])).joined(separator: "\n\n")
    }
  }

  private func json(_ plans: [Plan]) -> JSON {
    guard times else { return ["plans": .array(plans.map(\.json))] }
    return ["plans": .array(plans.map(\.json)), "estimated_seconds": .number(plans.expectedTime.seconds)]
  }

  private func text(_ plan: Plan) -> String {
    let point = plan.point
    let settings = RunText.shortSettings(.object(point.set))
    let name = [point.experiment, settings, "seed \(point.seed)"].filter { !$0.isEmpty }.joined(separator: " ")
    var columns = Columns()
    for stage in plan.stages where stage.name != "base" {
      let missing = (stage.images ?? stage.prompts).map { "\($0.all - $0.there) of \($0.all) " } ?? ""
      let state = stage.isCached ? "cached" : missing + "to compute"
      let time = stage.isCached ? "" : stage.estimate.map(PlanText.words) ?? ""
      columns.add(["  " + stage.name, state] + (times ? [time] : []) + [stage.reason ?? ""])
    }
    let total = times ? "\n  \(PlanText.total([plan]))" : ""
    return "\(Style.bold(name))  config \(point.configHash.short)\n" + columns.text() + total
  }
}
