import Configuration
import Foundation
import Testing
import Workbench

@Suite("Experiments that are refused")
struct ExperimentRefusalTests {
  @Test(
    "what is wrong in a file is named by file, key path and nearest spelling",
    arguments: [
      ("technique.name", "sssd", "technique.name: there is no technique \"sssd\"; did you mean \"ssd\"?"),
      ("technique.name", "", "technique.name: expected a string, not empty"),
      ("technique.nam", "ssd", "technique.nam: unknown key; did you mean \"name\"?"),
      ("technique.config.alhpa", 1, "technique.config.alhpa: unknown key; did you mean \"alpha\"?"),
      ("technique.config.alpha", "1", "technique.config.alpha: expected a number, found the string \"1\""),
      ("technique.config.alpha", 0, "technique.config.alpha: expected a number, greater than 0"),
      ("technique.config.dampening_coeff", -1, "technique.config.dampening_coeff: expected a number, greater than 0"),
      ("technique.config.num_fisher_samples", -5, "config.num_fisher_samples: expected an integer, at least 1"),
      ("technique.config.forget_prompts", [], "forget_prompts: expected a list of strings or null, not empty"),
      ("technique.config.forget_prompts", "a", "technique.config.forget_prompts: expected a list of strings or null"),
      (
        "technique.config.save_path", "x.npz",
        "config.save_path: expected a string or null, ending in .safetensors, .bin, .pt, .pth or .ckpt"
      ),
      ("technique.config.device", "gpu", "technique.config.device: \"gpu\" is not one of its values"),
      ("technique.config.device", "cuda", "technique.config.device: this machine cannot serve \"cuda\"; --device cpu"),
      ("technique.config.num_inference_steps", 0, "config.num_inference_steps: expected an integer, between 1"),
      ("technique.config.erase_concept", "cirlce", "declares no concept \"cirlce\"; did you mean \"circle\"?"),
      (
        "technique", ["name": "uce", "config": ["erase_concept": "circle", "guide_concepts": ["a cirle"]]],
        "technique.config.guide_concepts: the base model \"shapes\" never saw the word \"cirle\" in training; did you "
          + "mean \"circle\"?"
      ),
      (
        "technique", ["name": "sld", "config": ["erase_concept": "circle", "safety_concept": "a photo of a cirle"]],
        "technique.config.safety_concept: the base model \"shapes\" never saw the word \"cirle\" in training"
      ),
      (
        "technique",
        [
          "name": "surgical",
          "config": ["erase_concept": "circle", "instruction_concepts": [["prompt": "a"], ["prompt": "a cirle"]]],
        ], "technique.config.instruction_concepts.1.prompt: the base model \"shapes\" never saw the word \"cirle\""
      ),
      (
        "technique", ["name": "surgical", "config": ["erase_concept": "circle"]],
        "technique.config.instruction_concepts.0.prompt: the base model \"shapes\" never saw the word \"sexual\" in "
          + "training; these are known: a, circle, photo, of; this is its default, so \"instruction_concepts\" has to "
          + "be written"
      ),
      (
        "technique", ["name": "surgical", "config": ["erasing_signal": "implicit"]],
        "technique.config.erase_concept: the base model \"shapes\" declares no concept \"nudity\"; these are known: "
          + "circle, square, red; this is its default, so \"erase_concept\" has to be written"
      ),
      (
        "technique", ["name": "uce", "config": ["erase_concept": "circle", "erase_prompts": ["a cirle"]]],
        "technique.config.erase_prompts: the base model \"shapes\" never saw the word \"cirle\" in training"
      ),
      (
        "technique", ["name": "uce", "config": ["erase_concept": ["circle", "red", "circle"]]],
        "technique.config.erase_concept: the concept \"circle\" is to be erased twice"
      ),
      (
        "technique", ["name": "sdd", "config": ["erase_concept": "red", "erase_concepts": ["circle", "red"]]],
        "technique.config.erase_concepts: the concept \"red\" is to be erased twice"
      ),
      (
        "technique", ["name": "esd", "config": ["erase_concept": "i2p"]],
        "technique.config.erase_concept: the base model \"shapes\" declares no concept \"hate\""
      ),
      (
        "technique", ["name": "p_esd", "config": ["erase_concept": "circle", "erase_concepts": ["i2p"]]],
        "technique.config.erase_concepts: the base model \"shapes\" declares no concept \"hate\""
      ),
      (
        "technique", ["name": "np_esd", "config": ["erase_concept": "nudity", "erase_concepts": ["i2p"]]],
        "technique.config.erase_concepts: the concept \"nudity\" is to be erased twice"
      ),
      (
        "technique", ["name": "mace", "config": ["erase_concept": "circle", "concept_type": "style"]],
        "technique.config.mapping_concept: the base model \"shapes\" never saw the word \"art\" in training"
      ),
      (
        "technique",
        ["name": "rece", "config": ["erase_concept": "circle", "uce": ["erase_prompts": ["circle", "a cirle"]]]],
        "technique.config.uce.erase_prompts: the base model \"shapes\" never saw the word \"cirle\" in training"
      ),
      ("technique.config", [1], "technique.config: expected an object, found a list"),
      ("technique", "ssd", "technique: expected an object, found the string \"ssd\""),
      ("technique", [:], "expected a \"technique\" with its name and config, found none"),
      ("metrics.fid.name", "fidd", "metrics.fidd.name: there is no metric \"fidd\"; did you mean \"fid\"?"),
      ("metrics.fid.name", "cer", "metrics: the metric \"cer\" appears twice"),
      ("metrics.fid.config.limit", -1, "metrics.fid.config.limit: expected an integer, between 2 and 1000000"),
      ("metrics.fid.config.limt", 5, "metrics.fid.config.limt: unknown key; did you mean \"limit\"?"),
      ("metrics.fid.config.device", "cuda", "metrics.fid.config.device: this machine cannot serve"),
      (
        "metrics.cer.config", ["concept_name": "ring"],
        "metrics.cer.config.concept_name: the base model \"shapes\" declares no"
      ),
      ("metrics", [], "metrics: expected a list of objects or null, not empty"),
      ("metrics", [["config": [:]]], "metrics.0.name: expected a name, found none"),
      ("metric", ["name": "fid"], "expected either \"metric\" or \"metrics\", found both"),
      ("tecnique", [:], "tecnique: unknown key; did you mean \"technique\"?"),
      ("seed", -1, "seed: expected an integer, between 0"),
      ("seed", 1.5, "seed: expected an integer, found the number 1.5"),
      ("seeds", [], "seeds: expected a list of integers or null, not empty"),
      ("seeds", [1, 1], "seeds: the seed 1 appears twice"),
      ("output_dir", 3, "output_dir: expected a string, found the number 3"),
      ("sweep", ["technique.config.alpha": 3], "sweep: expected a list of values for \"technique.config.alpha\""),
      ("sweep", ["technique.config.alpha": []], "sweep: expected a list of values for \"technique.config.alpha\""),
      ("sweep", ["technique.config.alhpa": [1]], "technique.config.alhpa: unknown key; did you mean \"alpha\"?"),
      ("sweep", ["technique.config.alpha": [1, -1]], "technique.config.alpha: expected a number, greater than 0"),
      ("sweep", ["technique.config.alpha": [1, 1.0]], "technique.config.alpha: the value 1 is to be tried twice"),
      ("sweep", ["metrics.fdi.config.limit": [1]], "metrics.fdi.config.limit: nothing in this list is called \"fdi\""),
      ("sweep", ["seed": [1, 2]], "seed: seeds are no part of a grid"),
    ] as [(String, JSON, String)])
  func files(keyPath: String, value: JSON, message: String) throws {
    // Swept key paths hold dots, so the whole object is set, never a path into it.
    let refused = refusal(try with(keyPath, value))
    #expect(refused.hasPrefix("tests/e.json: "), "\(refused)")
    #expect(refused.contains(message), "\(refused)")
  }

  @Test("a document without a technique, without metrics, or that is no object is refused")
  func incomplete() {
    #expect(refusal([:]).contains("expected a \"technique\""))
    #expect(refusal(["technique": ["name": "base"]]).contains("expected \"metric\" or \"metrics\", found neither"))
    #expect(refusal([1]).contains("expected an object with technique and metrics, found a list"))
  }

  @Test("a single metric is named as the file writes it")
  func singleMetric() {
    let document: JSON = ["technique": ["name": "base"], "metric": ["name": "fid", "config": ["limit": 0]]]
    #expect(
      refusal(document).hasPrefix("tests/e.json: metric.config.limit: expected an integer, between 2 and 1000000"))
  }

  @Test(
    "words that play no part, and those that the base model knows, are not refused",
    arguments: [
      ["name": "surgical", "config": ["erase_concept": "circle", "erasing_signal": "implicit"]],
      [
        "name": "surgical",
        "config": ["erase_concept": "circle", "instruction_concepts": [["prompt": "photo of a circle"]]],
      ],
      ["name": "sld", "config": ["erase_concept": "circle", "safety_concept": "a photo of a circle"]],
      ["name": "rece", "config": ["erase_concept": "circle", "uce": ["erase_prompts": ["a circle"]]]],
      ["name": "uce", "config": ["erase_concept": "circle", "guide_concepts": ["a"], "concept_type": "style"]],
    ] as [JSON])
  func knownWords(technique: JSON) throws {
    #expect(refusal(try with("technique", technique)) == "nothing refused")
  }

  @Test("a base model that declares no vocabulary refuses no word")
  func noVocabulary() throws {
    let technique: JSON = ["name": "surgical", "config": ["erase_concept": "nudity"]]
    #expect(try experiment(with("technique", technique)).points { _ in BaseDeclaration() }.count == 1)
  }

  @Test("a metric that needs a concept is refused when neither it nor the technique names one")
  func missingConcept() {
    let document: JSON = ["technique": ["name": "base"], "metrics": [["name": "cer"]]]
    #expect(refusal(document).contains("metrics.cer.config.concept_name: it must be written here"))
  }

  @Test(
    "what is wrong on the command line is refused",
    arguments: [
      ("technique.config.alhpa=1", "technique.config.alhpa: unknown key; did you mean \"alpha\"?"),
      ("metrics.tifa.config.limit=5", "metrics.tifa.config.limit: nothing in this list is called \"tifa\""),
      ("metric.config.limit=5", "metric.config.limit: this experiment has several metrics"),
      ("seed=1,2", "seed: seeds are no part of a grid"),
      ("sweep={}", "sweep: a swept value is set by its own key path"),
      ("technique.config.alpha=2,2", "technique.config.alpha: the value 2 is to be tried twice"),
      ("technique.config.erase_concept=5", "technique.config.erase_concept: expected a string, found the number 5"),
    ])
  func commandLine(text: String, message: String) throws {
    #expect(refusal(circle, try sets(text)).contains(message))
  }

  @Test("the same key set twice, seeds twice and no seeds are refused")
  func repeated() throws {
    #expect(refusal(circle, try sets("seed=1", "seed=2")).contains("seed: --set gives it twice"))
    #expect(refusal(circle, Overrides(seeds: [3, 3])).contains("seeds: the seed 3 appears twice"))
    #expect(refusal(circle, Overrides(seeds: [])).contains("seeds: expected at least one seed"))
    #expect(refusal(circle, Overrides(seeds: [-3])).contains("seeds: expected a list of integers"))
  }

  @Test("malformed and truncated files are refused with line and column, and a missing one by name")
  func unreadable() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data("{\n  \"technique\": {\"name\": \"ssd\",".utf8).write(to: file)
    let truncated = #expect(throws: JSONError.self) { try Experiment(reading: file.path) }
    #expect(truncated?.description.hasPrefix(file.path + ":2:31: expected a key in double quotes") == true)
    #expect(throws: JSONError.self) { try Experiment(reading: experimentsFolder + "/missing.json") }
    #expect(throws: JSONError.self) { try Experiment(reading: experimentsFolder) }
  }
}
