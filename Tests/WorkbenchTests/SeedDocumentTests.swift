import Configuration
import Testing
import Workbench

@Suite("The experiments that the repository ships")
struct SeedDocumentTests {
  static let documents = [
    "ssd_asr", "ssd_asr_fast", "ssd_nudity_multi", "saeuron_asr", "saeuron_nudity_multi", "saeuron_violence_multi",
  ]

  @Test("every example of the source documents parses as it stands", arguments: documents)
  func parses(name: String) throws {
    let experiment = try Experiment(reading: "\(experimentsFolder)/seed-documents/\(name).json")
    #expect(experiment.name == name)
    #expect(experiment.seeds == [0])
  }

  @Test(
    "each is refused by what this base model cannot answer, or by the metric that is not built yet",
    arguments: documents)
  func refusedByName(name: String) throws {
    let experiment = try Experiment(reading: "\(experimentsFolder)/seed-documents/\(name).json")
    let error = #expect(throws: ConfigurationError.self) { try experiment.points { _ in shapes } }
    let message = error?.description ?? ""
    if name == "saeuron_violence_multi" {
      #expect(message.contains("the metric \"asr_p4d\"") && message.contains("not built yet"))
    } else {
      #expect(message.contains("declares no concept \"nudity\""), "\(message)")
    }
    #expect(!message.contains("\"fid\""))
  }

  @Test("an overlay with a concept of the base model fills in what the documents leave out")
  func metricsOverlay() throws {
    let patch: JSON = [
      "technique": ["config": ["erase_concept": "circle", "forget_prompts": ["a circle"], "save_path": nil]]
    ]
    let overrides = Overrides(overlay: (patch, "overlay.json"), baseModel: "shapes", device: .cpu)
    let experiment = try Experiment(
      reading: "\(experimentsFolder)/seed-documents/ssd_asr.json", overrides: overrides)
    let point = try #require(try experiment.points { _ in shapes }.first)
    #expect(point.metrics.first?.config["concept_name"] == "circle")
    #expect(point.metrics.first?.config["limit"] == 500)
  }

  @Test("an overlay makes a document's experiment run on another base model")
  func overlay() throws {
    let patch: JSON = [
      "technique": ["config": ["erase_concept": "circle", "forget_prompts": ["a circle"], "save_path": nil]],
      "metric": nil, "metrics": [["name": "cer"]],
    ]
    let overrides = Overrides(overlay: (patch, "overlay.json"), baseModel: "shapes", device: .cpu)
    let experiment = try Experiment(
      reading: "\(experimentsFolder)/seed-documents/ssd_asr.json", overrides: overrides)
    let point = try #require(try experiment.points { _ in shapes }.first)
    #expect(point.technique.config["num_fisher_samples"] == 50)
    #expect(point.technique.config["retain_prompts"]?.array?.count == 9)
    #expect(point.technique.config["device"] == "cpu")
    #expect(point.metrics.map(\.name) == ["cer"])
    #expect(point.metrics.first?.config["concept_name"] == "circle")
  }

  @Test("the quick start's experiments are complete", arguments: [("base", 1), ("ssd", 3)])
  func quickStart(name: String, count: Int) throws {
    let experiment = try Experiment(reading: "\(experimentsFolder)/\(name).json")
    let base = declaring("star")
    #expect(try experiment.points { _ in base }.count == count)
  }
}
