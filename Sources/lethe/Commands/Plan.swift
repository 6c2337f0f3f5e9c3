import ArgumentParser
import Configuration
import Store
import Workbench

struct PlanCommand: ParsableCommand, ComputingCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Show what running an experiment would compute, and why the cache does not have it.",
    discussion: """
        lethe plan experiments/ssd.json
        lethe plan experiments/ssd.json --set technique.config.alpha=7
      """)

  @OptionGroup var experiment: ExperimentOptions
  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let experiments = try experiment.experiments()
    let runner = store.runner(try store.open(create: true))
    let points = try experiments.flatMap { try runner.points(of: $0) }
    // What running would refuse is no plan.
    try runner.check(points)
    let plans = try points.map { try runner.plan($0) }
    for warning in plans.flatMap(\.point.warnings) { Console.warn(warning) }
    output.print(["plans": .array(plans.map(\.json))], else: { plans.map(text).joined(separator: "\n\n") })
  }

  private func text(_ plan: Plan) -> String {
    let point = plan.point
    let settings = RunText.shortSettings(.object(point.set))
    let name = [point.experiment, settings, "seed \(point.seed)"].filter { !$0.isEmpty }.joined(separator: " ")
    var columns = Columns()
    for stage in plan.stages where stage.name != "base" {
      let missing = (stage.images ?? stage.prompts).map { "\($0.all - $0.there) of \($0.all) " } ?? ""
      columns.add("  " + stage.name, stage.isCached ? "cached" : missing + "to compute", stage.reason ?? "")
    }
    return "\(Style.bold(name))  config \(point.configHash.short)\n" + columns.text()
  }
}
