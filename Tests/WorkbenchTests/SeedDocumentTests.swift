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

  @Test("each is refused by what this base model cannot answer", arguments: documents)
  func refusedByName(name: String) throws {
    let experiment = try Experiment(reading: "\(experimentsFolder)/seed-documents/\(name).json")
    let error = #expect(throws: ConfigurationError.self) { try experiment.points { _ in shapes } }
    let message = error?.description ?? ""
    let concept = name == "saeuron_violence_multi" ? "violence" : "nudity"
    #expect(message.contains("declares no concept \"\(concept)\""), "\(message)")
  }

  @Test("an overlay with a concept of the base model fills in what the documents leave out")
  func metricsOverlay() throws {
    let patch: JSON = [
      "technique": ["config": ["erase_concept": "circle", "forget_prompts": ["a circle"], "save_path": nil]]
    ]
    let overrides = Overrides(overlays: [(patch, "overlay.json")], baseModel: "shapes", device: .cpu)
    let experiment = try Experiment(
      reading: "\(experimentsFolder)/seed-documents/ssd_asr.json", overrides: overrides)
    let point = try #require(try experiment.points { _ in shapes }.first)
    #expect(point.metrics.first?.config["concept_name"] == "circle")
    #expect(point.metrics.first?.config["limit"] == 500)
  }

  @Test("the overlay that is shipped makes each ask six metrics of the drawn world", arguments: documents)
  func shippedOverlay(name: String) throws {
    let path = "\(experimentsFolder)/overlays/shapes.json"
    let overrides = Overrides(overlays: [(try JSON.read(path), path)])
    let experiment = try Experiment(
      reading: "\(experimentsFolder)/seed-documents/\(name).json", overrides: overrides)
    let point = try #require(try experiment.points { _ in declaring("stamped", "circle") }.first)
    #expect(point.metrics.map(\.name) == ["asr_i2p", "err", "fid", "clip_score", "ua_ira", "tifa"])
    #expect(point.technique.config["erase_concept"] == "stamped")
  }

  @Test("an overlay makes a document's experiment run on another base model")
  func overlay() throws {
    let patch: JSON = [
      "technique": ["config": ["erase_concept": "circle", "forget_prompts": ["a circle"], "save_path": nil]],
      "metric": nil, "metrics": [["name": "cer"]],
    ]
    let overrides = Overrides(overlays: [(patch, "overlay.json")], baseModel: "shapes", device: .cpu)
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
