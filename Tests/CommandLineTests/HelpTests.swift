import Configuration
import Foundation
import TestModels
import Testing

@Suite("Help and descriptions")
struct HelpTests {
  @Test("the first page shows what Lethe is for, with examples, and every command")
  func firstPage() throws {
    let desk = try Desk(model: false)
    let help = try desk.lethe("--help")
    #expect(help.status == 0)
    #expect(help.errors.isEmpty)
    #expect(help.output.hasPrefix("OVERVIEW: A workbench for concept erasure in text-to-image diffusion models.\n"))
    #expect(help.output.contains("lethe run experiments/base.json experiments/ssd.json"))
    for command in commandNames { #expect(help.output.contains("\n  \(command) "), "\(command)") }
    #expect(try desk.lethe().output == help.output)
    #expect(try desk.lethe("--version").output == "0.1.0\n")
  }

  @Test("every command explains itself", arguments: commandNames)
  func explained(_ name: String) throws {
    let desk = try Desk(model: false)
    let help = try desk.lethe(name, "--help")
    #expect(help.status == 0)
    #expect(help.output.contains("USAGE: lethe \(name)"))
    #expect(!help.output.contains("\u{1B}"), "no escapes where there is no terminal")
  }

  @Test(
    "a technique's table has every setting with type, default, meaning and source, and the base model's own defaults")
  func describeTechnique() throws {
    let desk = try Desk()
    let text = try desk.lethe("describe", "ssd", "--base-model", "./model")
    #expect(text.status == 0)
    for key in ["erase_concept", "alpha", "dampening_coeff", "num_fisher_samples", "use_fp16", "save_path"] {
      #expect(text.output.contains("\n\(key) "), "\(key)")
    }
    #expect(text.output.contains("2 (./model), else 50"))
    #expect(text.output.contains("warning: forget_prompts is not set"))
    let json = try desk.lethe("describe", "ssd", "--base-model", "./model", "--json").json()
    let alpha = try #require(json["fields"]?.array?.first { $0["key"] == "alpha" })
    #expect(alpha["default"] == 1)
    #expect(alpha["source"] == "seed document 000")
    let steps = try #require(json["fields"]?.array?.first { $0["key"] == "num_inference_steps" })
    #expect(steps["default"] == 50)
    #expect(steps["base_model_default"] == 2)
  }

  @Test("the settings of objects inside a setting are shown with their own defaults")
  func describeNested() throws {
    let desk = try Desk(model: false)
    let text = try desk.lethe("describe", "surgical").output
    #expect(text.contains("\n    percentile = 0.95  (number, between 0 and 1)\n"))
    #expect(!text.contains("\npercentile"))
    let json = try desk.lethe("describe", "rece", "--json").json()
    let uce = try #require(json["fields"]?.array?.first { $0["key"] == "uce" })
    let members = try #require(uce["members"]?.array)
    #expect(members.first { $0["key"] == "lamb" }?["default"] == 0.5)
    // What rece decides itself is not to be written inside.
    let refused: [JSON] = ["erase_concept", "guide_concepts", "load_path", "device"]
    #expect(!members.contains { refused.contains($0["key"] ?? .null) })
    #expect(json["fields"]?.array?.first { $0["key"] == "epochs" }?["members"] == nil)
  }

  @Test("without a name, techniques and metrics are listed; a base model tells its concepts")
  func describeOthers() throws {
    let desk = try Desk()
    let all = try desk.lethe("describe", "--json", "--store", "nowhere").json()
    for technique in ["base", "esd", "ssd"] { #expect(all["techniques"]?.array?.contains(.string(technique)) == true) }
    for metric in ["cer", "clip_score", "fid"] { #expect(all["metrics"]?.array?.contains(.string(metric)) == true) }
    let model = try desk.lethe("describe", "./model")
    #expect(model.output.contains("circle, square, triangle"))
    #expect(try desk.lethe("describe", "./model", "--json").json()["sampler"]?["num_inference_steps"] == 2)
    #expect(try desk.lethe("describe", "fid").output.contains("reference_limit"))
  }
}

let commandNames = [
  "run", "plan", "describe", "ls", "show", "compare", "report", "reproduce", "models", "generate", "purify", "export",
  "techniques", "attacks", "transfer", "check", "train", "bench", "verify",
  "gc",
  "reindex",
]
