import Configuration
import Workbench

/// What `lethe bench` says of experiments: the time of single passes of their models, and how long each will take.
struct ExperimentTimes {
  let files: [String]

  func print(_ store: StoreOptions, _ output: OutputOptions) throws {
    let runner = store.runner(try store.open(create: true))
    let points = try files.flatMap { try runner.points(of: Experiment(reading: $0)) }
    try runner.check(points)
    let bar = TimingBar()
    let known = ModelTimes(progress: bar.update)
    let plans = try runner.plansWithTimes(points, times: known)
    var models: [(name: String, times: PartTimes)] = []
    for point in points where !models.contains(where: { $0.name == point.baseModel }) {
      models.append((point.baseModel, try runner.partTimes(of: point, in: known)))
    }
    try output.print(json(plans, models), else: { try text(plans, models) })
  }

  private func json(_ plans: [Plan], _ models: [(name: String, times: PartTimes)]) throws -> JSON {
    [
      "plans": .array(plans.map(\.json)), "estimated_seconds": .number(plans.expectedTime.seconds),
      "models": .array(
        try models.map { ["name": .string($0.name), "seconds": try $0.times.json] }),
    ]
  }

  private func text(_ plans: [Plan], _ models: [(name: String, times: PartTimes)]) throws -> String {
    let machine = try models.map { name, times in
      var columns = Columns(numbers: [1])
      func add(_ name: String, _ seconds: Double) { columns.add("  " + name, RunText.fixed(1000 * seconds, 2), "ms") }
      add("UNet forward, one latent under one text", try times.forward)
      add("the same forward and backward", try times.gradient)
      add("a latent decoded", try times.decoding)
      add("a text read", try times.encoding)
      return "\(Style.bold(name)), all threads at work\n" + columns.text()
    }
    var columns = Columns()
    for plan in plans {
      let point = plan.point
      let name = [point.experiment, RunText.shortSettings(.object(point.set)), "seed \(point.seed)"]
      columns.add(name.filter { !$0.isEmpty }.joined(separator: " "), PlanText.total([plan]))
    }
    if plans.count > 1 { columns.add("all", PlanText.total(plans)) }
    return (machine + [columns.text()]).joined(separator: "\n\n")
  }
}
