import Configuration
import Foundation
import Store
import Tensors
import Testing
import Workbench

@Suite("Running attacks")
struct AttackRunTests {
  @Test("prompts are searched once, kept with their outcome, and a larger limit searches the new ones alone")
  func cache() throws {
    let bench = try SmallWorkbench(judged: true)
    let first = try #require(try bench.run(attacked(limit: 3)).first)
    #expect(first.record.status == .finished, "\(first.record.error ?? "")")
    #expect(try searched(first) == 3)
    let rows = try table(first, bench)
    #expect(rows.rows.count == 3)
    #expect(rows.header.first == "adversarial_prompt")
    #expect(try rows.column("prompt").allSatisfy { $0.contains("circle") })
    #expect(try Set(rows.column("concept")) == ["circle"])

    let again = try bench.run(attacked(limit: 3))[0]
    #expect(again.computed.isEmpty)
    #expect(again.record.outputs == first.record.outputs)
    let more = try bench.run(attacked(limit: 5))[0]
    #expect(try searched(more) == 2)
    #expect(try table(more, bench).rows.prefix(3) == rows.rows.prefix(3))
  }

  @Test("a metric has one value under its attack, and the rate is that of the attack's images")
  func values() throws {
    let bench = try SmallWorkbench(judged: true)
    let run = try bench.run(attacked(limit: 4))[0]
    let value = try #require(run.record.metrics.first { $0.name == "cer_random_tokens" })
    #expect(value.count == 4)
    let ended = try #require(value.details?["attack"])
    let found = (ended["before_attack"]?.integer ?? -1) + (ended["succeeded"]?.integer ?? -1)
    #expect(value.value == Double(4 - found) / 4)
    #expect(ended["prompts"] == 4)
  }

  @Test("a value says how its own attack was set, also where another setting has found the same prompts")
  func settings() throws {
    let bench = try SmallWorkbench(judged: true)
    for tries in [40, 41, 42] {
      // Of so many tries the last is hardly ever needed.
      let run = try bench.run(attacked(limit: 1, tries: tries))[0]
      let value = try #require(run.record.metrics.first { $0.name == "cer_random_tokens" })
      #expect(value.measurement?.settings["attack"]?["config"]?["tries"] == .integer(tries))
    }
  }

  @Test("a search that sees the edited model is made anew for every edit, one that does not serves every technique")
  func sharing() throws {
    let bench = try SmallWorkbench(judged: true)
    try bench.run(attacked(limit: 2, tries: 1))
    let anew = try bench.run(attacked(["name": "uce", "config": ["erase_concept": "circle"]], limit: 2, tries: 1))[0]
    #expect(try searched(anew) == 2)
    try bench.run(attacked(limit: 2, tries: 0))
    let shared = try bench.run(attacked(["name": "uce", "config": ["erase_concept": "circle"]], limit: 2, tries: 0))[0]
    #expect(try searched(shared) == 0)
  }

  @Test("an edit to an attack's code, or to a judge, searches its prompts anew, and one to another attack's does not")
  func code() throws {
    let bench = try SmallWorkbench(judged: true)
    try bench.run(attacked(limit: 2))
    let code = ComputingCode.current
    for (file, count) in [
      ("Attacks/RandomTokens.swift", 2), ("Attacks/Tokens/PromptTokens.swift", 2), ("Attacks/MMA.swift", 0),
      ("Metrics/Judges/ConceptDetector.swift", 2), ("Metrics/ByImages/FID.swift", 0),
    ] {
      var files = code.files
      _ = try #require(files[file])
      files[file] = Digest(hashing: "another text of \(file)")
      let run = try bench.run(attacked(limit: 2), code: ComputingCode(files: files, blas: code.blas))[0]
      #expect(try searched(run) == count, "\(file)")
    }
  }

  @Test("a run under attack comes out the same, and its file of prompts is not written again")
  func reproduction() throws {
    let bench = try SmallWorkbench(judged: true)
    let document = try attacked(limit: 3).setting(
      "attacks.random_tokens.config.generated_prompts_output", to: "prompts.csv")
    let run = try bench.run(document)[0]
    try WholeFile.write([], to: bench.folder + "/prompts.csv")
    #expect(try bench.runner().reproduce(run.run).verdict == .identical)
    #expect(FileManager.default.contents(atPath: bench.folder + "/prompts.csv")?.isEmpty == true)

    // A record that claims other prompts, and the images of fewer.
    var record = run.record
    let rows = try table(run, bench)
    let other = CSV.text([rows.header] + rows.rows.map { ["another"] + $0.dropFirst() })
    func claim(_ name: String, _ digest: Digest) throws -> Reproduction.Output? {
      let position = try #require(record.outputs.firstIndex { $0.name == name })
      record.outputs[position].digest = digest
      return try bench.runner().reproduce(bench.store.add(record)).outputs.first { $0.name == name }
    }
    let prompts = try claim("attack.random_tokens", bench.store.objects.add(Array(other.utf8)))
    #expect(prompts?.verdict == .different && prompts?.detail == "3 of 3 adversarial prompts differ")
    let fewer = try #require(bench.run(attacked(limit: 2))[0].output("images.attack"))
    let images = try claim("images.attack", fewer)
    #expect(images?.verdict == .different && images?.detail == "not the same prompts")
  }

  @Test("one file for the prompts of several seeds is refused")
  func sharedFile() throws {
    let bench = try SmallWorkbench(judged: true)
    let document = try attacked(limit: 3).setting(
      "attacks.random_tokens.config.generated_prompts_output", to: "prompts.csv"
    ).setting("seeds", to: [1, 2])
    let error = #expect(throws: ConfigurationError.self) { try bench.points(document) }
    #expect(error?.description.contains("2 points of this experiment would all write prompts.csv") == true)
  }

  @Test("a file for prompts that could not be written is refused before any is searched, and its folder is made")
  func unwritableFile() throws {
    let bench = try SmallWorkbench(judged: true)
    try WholeFile.write("", to: bench.folder + "/occupied")
    func writing(_ path: String) throws -> JSON {
      try attacked(limit: 2).setting(
        "attacks.random_tokens.config.generated_prompts_output", to: .string(path))
    }
    let error = #expect(throws: ConfigurationError.self) {
      try bench.runner().check(bench.points(writing("occupied/prompts.csv")))
    }
    #expect(
      error?.description.hasSuffix(
        "attacks.random_tokens.config.generated_prompts_output: \(bench.folder)/occupied/prompts.csv: cannot be "
          + "written: Not a directory") == true)
    #expect(try bench.run(writing("new/prompts.csv"))[0].record.error == nil)
    #expect(FileManager.default.fileExists(atPath: bench.folder + "/new/prompts.csv"))
  }

  @Test("an interrupted search goes on with the next prompt")
  func interruption() throws {
    let bench = try SmallWorkbench(judged: true)
    var isCancelled = false
    let monitor = RunMonitor(
      handle: { if case .progress("attack.random_tokens", _, _, _) = $0 { isCancelled = true } },
      isCancelled: { isCancelled })
    let broken = try bench.run(attacked(limit: 12), monitor: monitor)[0]
    #expect(broken.record.status == .interrupted)
    let resumed = try bench.run(attacked(limit: 12))[0]
    #expect(try searched(resumed) < 12)
    #expect(try resumed.record.outputs == SmallWorkbench(judged: true).run(attacked(limit: 12))[0].record.outputs)
  }

  @Test("prompts are written to a file and read back from one instead of being searched")
  func files() throws {
    let bench = try SmallWorkbench(judged: true)
    let written = try attacked(limit: 3).setting(
      "attacks.random_tokens.config.generated_prompts_output", to: "prompts.csv")
    let run = try bench.run(written)[0]
    let read = try attacked(limit: 3).setting(
      "attacks.random_tokens.config.precomputed_prompts_path", to: "prompts.csv")
    let loaded = try bench.run(read)[0]
    #expect(loaded.record.status == .finished, "\(loaded.record.error ?? "")")
    #expect(
      loaded.record.metrics.first { $0.name == "cer_random_tokens" }?.value
        == run.record.metrics.first { $0.name == "cer_random_tokens" }?.value)
    let other = try read.setting("metrics.0.config.limit", to: 4)
    let refused = try bench.run(other)[0]
    #expect(refused.record.status == .failed)
    #expect(refused.record.error?.contains("prompts.csv: no row has the prompt") == true)
    // Said before anything is computed, with the setting that names the file.
    let error = #expect(throws: ConfigurationError.self) { try bench.runner().check(bench.points(other)) }
    #expect(
      error?.description.contains("ssd.json: attacks.random_tokens.config.precomputed_prompts_path: ") == true)
  }

  @Test(
    "a file of adversarial prompts with an empty one, one too long, or two for one search is refused by its line",
    arguments: [
      ("adversarial_prompt\n\" \"\n", "prompts.csv:2: the adversarial prompt is empty"),
      (
        "adversarial_prompt\n\(String(repeating: "circle ", count: 40))\n",
        "prompts.csv:2: the adversarial prompt has"
      ),
      (
        "adversarial_prompt,prompt\na,a circle\nb,a circle\n",
        "prompts.csv:3: line 2 has a row of the same prompt already"
      ),
      ("adversarial_prompt\na\n", "prompts.csv: 1 adversarial prompts for the 3 that are asked for"),
    ])
  func damagedFiles(text: String, sentence: String) throws {
    let bench = try SmallWorkbench(judged: true)
    try WholeFile.write(Array(text.utf8), to: bench.folder + "/prompts.csv")
    let document = try attacked(limit: 3).setting(
      "attacks.random_tokens.config.precomputed_prompts_path", to: "prompts.csv")
    let error = #expect(throws: ConfigurationError.self) { try bench.runner().check(bench.points(document)) }
    #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
  }

  @Test("an attack that has no room beside a prompt is refused before anything is computed")
  func noRoom() throws {
    let bench = try SmallWorkbench(judged: true)
    let document = try attacked(limit: 3).setting(
      "attacks", to: [["name": "unlearn_diff", "config": ["tokens": 9]]]
    ).setting("metrics.0.config.attack", to: "unlearn_diff")
    let error = #expect(throws: ConfigurationError.self) { try bench.runner().check(bench.points(document)) }
    #expect(error?.description.contains("attacks.unlearn_diff.config: the prompt \"") == true)
    #expect(error?.description.contains("leaves no room for 9 more") == true)
  }

  @Test("a metric under an attack that the experiment does not have is refused, with the nearest it has")
  func unknownAttack() throws {
    let bench = try SmallWorkbench(judged: true)
    let points = try bench.points(attacked(limit: 2).setting("metrics.0.config.attack", to: "random_token"))
    let error = #expect(throws: ConfigurationError.self) { try bench.runner().check(points) }
    #expect(error?.description.contains("no attack \"random_token\"; did you mean \"random_tokens\"?") == true)
  }

  @Test("prompts found on each model are tried on every other, and the diagonal is each model's own")
  func transfer() throws {
    let bench = try SmallWorkbench(judged: true)
    let techniques: [JSON] = [["name": "base"], ["name": "uce", "config": ["erase_concept": "circle"]]]
    let points = try techniques.flatMap { try bench.points(attacked($0, limit: 3)) }
    let matrix = try bench.runner().transfer(points, attack: "random_tokens")
    #expect(matrix.metric == "cer_random_tokens")
    #expect(matrix.cells.map(\.count) == [2, 2])
    for (index, point) in points.enumerated() {
      let own = try bench.runner().run([point])[0]
      #expect(matrix.cells[index][index].value == own.record.metrics.first?.value)
      // The prompts that were found on one model are what the other's run has.
      let crossed = try bench.store.run(matrix.cells[index][1 - index].run)
      let (tried, found) = try (prompts(crossed, bench), prompts(own.record, bench))
      #expect(tried == found)
    }
    let error = #expect(throws: ConfigurationError.self) { try bench.runner().transfer(points, attack: "random") }
    #expect(error?.description.contains("there is no attack \"random\"") == true)

    // Another number of prompts is another way of measuring.
    let unlike = [points[0], try bench.points(attacked(techniques[1], limit: 2))[0]]
    #expect { try bench.runner().transfer(unlike, attack: "random_tokens") } throws: {
      "\($0)".contains("cer_random_tokens is not measured alike on all models: other count")
    }
  }

  private func prompts(_ record: RunRecord, _ bench: SmallWorkbench) throws -> [String] {
    let digest = try #require(record.outputs.first { $0.name == "attack.random_tokens" }?.digest)
    return try CSV.parse(bench.store.objects.read(digest), file: "prompts", limit: 100).column("adversarial_prompt")
  }

  @Test("a metric may bring its own attack, and one that looks into the model has the prompts that were found")
  func modelsAndOwnAttacks() throws {
    let bench = try SmallWorkbench(judged: true)
    let technique: JSON = ["name": "cad_erase", "config": ["erase_concept": "circle", "ablate_ratio": 0.1]]
    let metrics: JSON = [
      ["name": "prune_ratio"], ["name": "sensitivity", "config": ["attack": "random_tokens", "limit": 2, "neurons": 1]],
      ["name": "asr_ring_a_bell", "config": ["limit": 2, "generations": 2, "population_size": 4, "token_length": 3]],
    ]
    let document = try attacked(technique, limit: 2).setting("metrics", to: metrics)
    let run = try bench.run(document)[0]
    #expect(run.record.status == .finished, "\(run.record.error ?? "")")
    let values = Dictionary(run.record.metrics.map { ($0.name, $0.value ?? -1) }, uniquingKeysWith: { $1 })
    #expect(values["prune_ratio"] ?? 0 > 0)
    #expect(values["prune_ratio"] ?? 0 >= values["prune_ratio_unet"] ?? 1)
    #expect(values["sensitivity_random_tokens"] ?? 0 > 0)
    #expect(values["sensitivity_others_random_tokens"] ?? 0 > 0)
    #expect(values["asr_ring_a_bell"] != nil && values["asr_ring_a_bell_control"] != nil)
    #expect(try bench.run(document)[0].computed.isEmpty)
  }

  @Test("asr_p4d searches on the edited model, or on the base model with prompts that serve every technique")
  func attackedModel() throws {
    let bench = try SmallWorkbench(judged: true)
    try WholeFile.write(Array("prompt\na circle\na red circle\n".utf8), to: bench.folder + "/short.csv")
    func run(_ model: JSON, _ technique: JSON) throws -> RunOutcome {
      let settings: JSON = [
        "num_iter": 2, "eval_step": 1, "erase_id": model, "concept_name": "circle", "target_prompts_path": "short.csv",
      ]
      let document = try attacked(technique, limit: 2).setting("attacks", to: .null)
        .setting("metrics", to: [["name": "asr_p4d", "config": settings]])
      let run = try bench.run(document)[0]
      #expect(run.record.status == .finished, "\(run.record.error ?? "")")
      return run
    }
    let uce: JSON = ["name": "uce", "config": ["erase_concept": "circle"]]
    for (model, isSearchedAnew) in [("custom", true), ("std", false)] as [(JSON, Bool)] {
      #expect(try searched(run(model, ["name": "base"]), "asr_p4d") == 2)
      #expect(try searched(run(model, uce), "asr_p4d") == (isSearchedAnew ? 2 : 0))
    }
    let staged: JSON = [["name": "asr_p4d", "config": ["erase_id": "std", "variant": "prefix"]]]
    let error = #expect(throws: ConfigurationError.self) {
      try bench.points(attacked(limit: 2).setting("metrics", to: staged))
    }
    #expect(error?.description.contains("erase_id: the variant \"prefix\" stops") == true)
  }

  @Test("a judge whose weights have another shape is refused before anything is drawn")
  func judgeOfTheWrongShape() throws {
    let bench = try SmallWorkbench(judged: true)
    let folder = try #require(FileManager.default.subpaths(atPath: bench.modelFolder)?.first { path in
      path.hasSuffix(".safetensors") && path.contains("attributes")
    })
    let path = bench.modelFolder + "/" + folder
    var tensors = try Weights(loading: SafetensorsFile(path)).byName
    let name = try #require(tensors.keys.sorted().first)
    tensors[name] = Tensor.zeros([3])
    try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: path)
    let points = try bench.points(attacked(limit: 2))
    #expect { try bench.runner().check(points) } throws: { "\($0)".contains(name) }
  }

  @Test("the seed of the edit stays where seeds vary the images")
  func editSeed() throws {
    let bench = try SmallWorkbench(judged: true)
    let document = try attacked(["name": "ssd", "config": ssd], limit: 1).setting("edit_seed", to: 5)
    let runs = try bench.run(document.setting("seeds", to: [1, 2]))
    #expect(runs[0].output("edit") == runs[1].output("edit"))
    #expect(runs[0].output("images.attack") != runs[1].output("images.attack"))
    let other = try bench.run(document.setting("edit_seed", to: 6))[0]
    #expect(other.output("edit") != runs[0].output("edit"))
  }

  private let ssd: JSON = [
    "erase_concept": "circle", "forget_prompts": ["a circle"], "retain_prompts": ["a square"],
    "num_fisher_samples": 1, "alpha": 2,
  ]

  private func attacked(
    _ technique: JSON = ["name": "base"], limit: Int, tries: Int = 2
  ) -> JSON {
    [
      "base_model": "./models/tiny", "seed": 3, "technique": technique,
      // In the place of the prompt, for the little model has no room beside it.
      "attacks": [
        ["name": "random_tokens", "config": ["tokens": 2, "placement": "replace", "tries": .integer(tries)]]
      ],
      "metrics": [
        [
          "name": "cer",
          "config": ["attack": "random_tokens", "concept_name": "circle", "limit": .integer(limit)],
        ]
      ],
    ]
  }

  private func searched(_ outcome: RunOutcome, _ attack: String = "random_tokens") throws -> Int {
    let stage = try #require(outcome.record.stages.first { $0.name == "attack.\(attack)" })
    return try #require(stage.details?["searched"]?.integer)
  }

  private func table(_ outcome: RunOutcome, _ bench: SmallWorkbench) throws -> CSV {
    let digest = try #require(outcome.output("attack.random_tokens"))
    return try CSV.parse(bench.store.objects.read(digest), file: "prompts", limit: 100)
  }
}
