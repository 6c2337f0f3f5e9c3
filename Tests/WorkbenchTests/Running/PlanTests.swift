import Configuration
import Store
import Testing
import Workbench

@Suite("Plans")
struct PlanTests {
  private func plan(_ bench: SmallWorkbench, _ document: JSON) throws -> Plan {
    try bench.runner().plan(#require(try bench.points(document).first))
  }

  private func reason(_ plan: Plan, _ stage: String) -> String { plan.stages.first { $0.name == stage }?.reason ?? "" }

  @Test("a plan of what nobody ran names every stage, what it waits for, and computes nothing")
  func empty() throws {
    let bench = try SmallWorkbench()
    let plan = try plan(bench, small)
    #expect(
      plan.stages.map(\.name) == ["base", "fisher.forget", "fisher.retain", "edit", "images", "metric.mean_pixel"])
    #expect(plan.stages.map(\.isCached) == [true, false, false, false, false, false])
    #expect(reason(plan, "fisher.forget") == "never computed before")
    #expect(reason(plan, "edit") == "follows fisher.forget and fisher.retain")
    #expect(reason(plan, "metric.mean_pixel") == "follows images")
    #expect(plan.stages[4].images?.all == 4)
    #expect(plan.stages[3].needs == ["base", "fisher.forget", "fisher.retain"])
    #expect(try bench.store.cache.list().isEmpty)
  }

  @Test("a plan says of a miss what alone differs from the nearest result, and has the keys that running has")
  func explained() throws {
    let bench = try SmallWorkbench()
    let ran = try bench.run(small)[0]
    let same = try plan(bench, small)
    #expect(same.isComplete)
    #expect(same.stages.map(\.key) == ran.record.stages.map(\.key))

    let alpha = try plan(bench, with(small, "technique.config.alpha", 9))
    #expect(reason(alpha, "edit") == "only config.alpha differs: 2 -> 9")
    #expect(reason(alpha, "images") == "follows edit")
    let prompts = try plan(bench, with(small, "technique.config.retain_prompts", ["a square", "a dog"]))
    #expect(reason(prompts, "fisher.retain") == #"only inputs.prompts[1] differs: "a cat" -> "a dog""#)
    #expect(prompts.stages.map(\.isCached) == [true, true, false, false, false, false])
    let limit = try plan(bench, with(small, "metrics.mean_pixel.config.limit", 6))
    #expect(limit.stages[4].images?.there == 4)
    #expect(reason(limit, "images").hasPrefix("2 images, the first of them: only repetition differs: "))
    #expect(limit.json["stages"]?[4]?["images"]?["all"] == 6)
  }

  @Test("a result whose objects are gone is a miss, and says so")
  func gone() throws {
    let bench = try SmallWorkbench()
    let ran = try bench.run(small)[0]
    try bench.remove(#require(ran.output("metric.mean_pixel")))
    let plan = try plan(bench, small)
    #expect(reason(plan, "metric.mean_pixel") == "its outputs are no longer in the store")
    #expect(try bench.run(small)[0].computed == ["metric.mean_pixel"])
  }
}
