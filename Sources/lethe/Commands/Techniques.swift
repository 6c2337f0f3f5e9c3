import ArgumentParser
import Configuration
import Workbench

struct Techniques: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the techniques: paper, kind of edit, cost, and the stages that other settings reuse.",
    discussion: """
      An edit is one of weights, a mask over them, a hook on activations or guidance while images are drawn. lethe \
      describe NAME explains a technique's settings.

        lethe techniques
        lethe techniques --json | jq '.[].name'
      """)

  @OptionGroup var output: OutputOptions

  func run() throws {
    let techniques = Catalogue.standard.techniqueOverviews
    output.print(.array(techniques.map(json)), else: { text(techniques) })
  }

  private func json(_ technique: TechniqueOverview) -> JSON {
    [
      "name": .string(technique.name), "aliases": .array(technique.aliases.map(JSON.string)),
      "title": .string(technique.title), "kind": .string(technique.kind), "paper": .string(technique.paper),
      "cost": .string(technique.cost), "stages": .array(
        technique.stages.map { ["name": .string($0.name), "shared_with": .array($0.sharedWith.map(JSON.string))] }),
    ]
  }

  private func text(_ techniques: [TechniqueOverview]) -> String {
    techniques.map { technique in
      var columns = Columns()
      if !technique.aliases.isEmpty { columns.add("  also", technique.aliases.joined(separator: ", ")) }
      columns.add("  edit", technique.kind)
      if !technique.paper.isEmpty { columns.add("  paper", technique.paper) }
      columns.add("  cost", technique.cost)
      let stages = technique.stages.map { stage in
        stage.name + (stage.sharedWith.isEmpty ? "" : " (shared with \(stage.sharedWith.joined(separator: ", ")))")
      }
      if !stages.isEmpty { columns.add("  stages", stages.joined(separator: ", ")) }
      return "\(Style.bold(technique.name))  \(technique.title)\n" + columns.text()
    }.joined(separator: "\n")
  }
}
