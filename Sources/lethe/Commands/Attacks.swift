import ArgumentParser
import Configuration
import Workbench

struct Attacks: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the attacks: paper, what they see of the model, and cost.",
    discussion: """
      An experiment lists attacks under "attacks", and a metric is measured under one by naming it, as in \
      {"name": "cer", "config": {"attack": "unlearn_diff"}}. lethe describe NAME explains an attack's settings.

        lethe attacks
        lethe attacks --json | jq '.[].name'
      """)

  @OptionGroup var output: OutputOptions

  func run() throws {
    let attacks = Catalogue.standard.attackOverviews
    output.print(.array(attacks.map(json)), else: { text(attacks) })
  }

  private func json(_ attack: AttackOverview) -> JSON {
    [
      "name": .string(attack.name), "title": .string(attack.title), "publication": .string(attack.publication),
      "sees": .string(attack.access), "cost": .string(attack.cost),
    ]
  }

  private func text(_ attacks: [AttackOverview]) -> String {
    attacks.map { attack in
      var columns = Columns()
      columns.add("  paper", attack.publication)
      columns.add("  sees", attack.access)
      columns.add("  cost", attack.cost)
      return "\(Style.bold(attack.name))  \(attack.title)\n" + columns.text()
    }.joined(separator: "\n")
  }
}
