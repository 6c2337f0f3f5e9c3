import Configuration
import Diffusion
import Erasure
import Store
import TestSupport
import Testing
import Workbench

@Suite("Experiments")
struct ExperimentTests {
  @Test("every default is filled in, by the document, the base model or the technique")
  func defaults() throws {
    let point = try #require(try points(circle).first)
    #expect(
      point.json == [
        "base_model": "shapes", "output_dir": "results", "seed": 0, "tags": [],
        "technique": [
          "name": "ssd",
          "config": [
            "erase_concept": "circle", "forget_prompts": nil, "retain_prompts": nil, "rule": "ratio", "alpha": 2,
            "dampening_coeff": 1, "selection_weighting": 10, "dampening_constant": 1, "num_fisher_samples": 50,
            "latent_source": "generated",
            "save_path": nil, "load_path": nil,
            "num_inference_steps": 20, "guidance_scale": 3, "use_fp16": true, "device": nil,
          ],
        ],
        "metrics": [
          [
            "name": "cer",
            "config": [
              "concept_name": "circle", "attack": nil, "prompts": "name", "prompts_path": nil, "limit": 128,
              "samples_per_prompt": nil, "synonym_limit": 0, "implied_limit": 0, "retain_limit": 128, "judge": nil,
              "device": nil,
            ],
          ],
          [
            "name": "fid",
            "config": [
              "limit": 100, "reference_limit": 2000, "without_concept": nil, "judge": nil, "device": nil,
            ],
          ],
        ],
      ])
  }

  @Test("a metric of the erased concept asks about all of them, and a single one is written as before")
  func erasedConcepts() throws {
    func concept(_ config: JSON, of name: String) throws -> JSON? {
      let document = try with("technique", ["name": .string(name), "config": config])
      return try points(document)[0].metrics.first { $0.name == "cer" }?.config["concept_name"]
    }
    #expect(try concept(["erase_concept": ["circle", "red"]], of: "uce") == ["circle", "red"])
    #expect(try concept(["erase_concept": "red", "erase_concepts": ["circle"]], of: "esd") == ["red", "circle"])
    #expect(try concept(["erase_concept": ["red"]], of: "uce") == "red")
    let words = ESDSettings.wordLists["i2p"].map(ConceptNames.init)?.json
    let i2p = try with("technique", ["name": "esd", "config": ["erase_concept": "i2p"]])
    let point = try experiment(i2p).points { _ in BaseDeclaration() }[0]
    #expect(point.technique.config["erase_concept"] == "i2p" && point.metrics[0].config["concept_name"] == words)
    let written = try with("metrics.cer.config", ["concept_name": "square"])
    #expect(try points(written)[0].metrics[0].config["concept_name"] == "square")
  }

  @Test("what the file writes beats the base model, and the document's defaults stand where it has none")
  func whoDecidesTheSampler() throws {
    let written = try with("technique.config.num_inference_steps", 7)
    #expect(try points(written)[0].technique.config["num_inference_steps"] == 7)
    #expect(try points(written)[0].technique.config["guidance_scale"] == 3)
    let silent = try experiment(circle).points { _ in BaseDeclaration() }[0]
    #expect(silent.technique.config["num_inference_steps"] == 50)
    #expect(silent.technique.config["guidance_scale"] == 7.5)
  }

  @Test("a base model that declares no concepts accepts any")
  func undeclaredConcepts() throws {
    let document = try with("technique.config.erase_concept", "nudity")
    #expect(try experiment(document).points { _ in BaseDeclaration() }.count == 1)
  }

  @Test("the typed configuration of a point is the one that its JSON shows")
  func typed() throws {
    let point = try #require(try points(circle).first)
    #expect(point.technique.configuration?.encode() == point.technique.config)
    #expect(point.technique.configuration?.leftOpen.isEmpty == true)
  }

  @Test("a resolved experiment reads back as itself")
  func fixedPoint() throws {
    for point in try points(with("sweep", ["technique.config.alpha": [1, 5]])) {
      let again = try #require(try points(point.json).first)
      #expect(again.json == point.json)
      #expect(again.configHash == point.configHash)
    }
  }

  @Test("a sweep over several key paths spans a grid, each point with every seed")
  func grid() throws {
    let document = try with(
      "sweep", ["technique.config.alpha": [1, 5], "metrics.fid.config.limit": [10, 20]],
      in: with("seeds", [3, 4]))
    let all = try points(document)
    #expect(all.count == 8)
    #expect(all.map(\.seed) == [3, 4, 3, 4, 3, 4, 3, 4])
    #expect(all[0].set == ["metrics.fid.config.limit": 10, "technique.config.alpha": 1])
    #expect(all[2].set == ["metrics.fid.config.limit": 10, "technique.config.alpha": 5])
    #expect(all[6].technique.config["alpha"] == 5)
    #expect(all[6].metrics[1].config["limit"] == 20)
    #expect(Set(all.map(\.configHash)).count == 8)
    #expect(Set(all.map(\.configHashWithoutSeed)).count == 4)
  }

  @Test("--set overrides a value, or the sweep of it, and spans a grid with several values")
  func assignments() throws {
    let swept = try with("sweep", ["technique.config.alpha": [1, 5, 20]])
    let one = try points(swept, sets("technique.config.alpha=3"))
    #expect(one.map { $0.technique.config["alpha"] } == [3])
    #expect(one[0].set == ["technique.config.alpha": 3])
    let two = try points(swept, sets("technique.config.alpha=7,8", "metrics.fid.config.limit=64"))
    #expect(two.map { $0.technique.config["alpha"] } == [7, 8])
    #expect(two[1].set == ["technique.config.alpha": 8, "metrics.fid.config.limit": 64])
    #expect(two.allSatisfy { $0.metrics[1].config["limit"] == 64 })
    let replaced = try points(swept, sets(#"technique.config={"erase_concept":"red"}"#))
    #expect(replaced.map { $0.technique.config["alpha"] } == [1])
    let list = try points(circle, sets(#"technique.config.forget_prompts=["a circle","circle"]"#))
    #expect(list[0].technique.config["forget_prompts"] == ["a circle", "circle"])
    let name = try points(circle, sets("technique.config.erase_concept=circle,square"))
    #expect(name.map { $0.metrics[0].config["concept_name"] } == ["circle", "square"])
  }

  @Test("metric and metrics are two spellings of one experiment")
  func metricSpellings() throws {
    let single: JSON = ["technique": ["name": "base"], "metric": ["name": "fid"]]
    let list: JSON = ["technique": ["name": "base"], "metrics": [["name": "fid"]]]
    #expect(try points(single)[0].configHash == points(list)[0].configHash)
    for text in ["metric.config.limit=9", "metrics.fid.config.limit=9"] {
      let point = try points(single, sets(text))[0]
      #expect(point.metrics[0].config["limit"] == 9)
      #expect(point.set == ["metrics.fid.config.limit": 9])
    }
  }

  @Test("--seeds beats seeds, and seeds beats seed")
  func seeds() throws {
    let seed = try with("seed", 5)
    let seeds = try with("seeds", [6, 7], in: seed)
    #expect(try experiment(seed).seeds == [5])
    #expect(try experiment(seeds).seeds == [6, 7])
    #expect(try experiment(seeds, Overrides(seeds: [8])).seeds == [8])
    #expect(try experiment(circle, sets("seeds=[1,2]")).seeds == [1, 2])
  }

  @Test("--device cpu lets a file that asks for cuda run here, and the device is in no hash")
  func device() throws {
    let cuda = try with("metrics.fid.config.device", "cuda", in: with("technique.config.device", "cuda"))
    let point = try points(cuda, Overrides(device: .cpu))[0]
    #expect(point.technique.config["device"] == "cpu")
    #expect(point.metrics.allSatisfy { $0.config["device"] == "cpu" })
    #expect(try point.configHash == points(circle)[0].configHash)
    let served = try experiment(cuda).points(devices: [.cpu, .cuda]) { _ in shapes }
    #expect(served[0].configHash == point.configHash)
  }

  @Test(
    "what cannot change a result is not in the hash, and everything else is",
    arguments: [
      ("output_dir", "elsewhere", true), ("tags", ["x"], true), ("technique.config.save_path", "x.safetensors", true),
      ("technique.config.device", "cpu", true),
      ("metrics", [["name": "fid", "config": ["limit": 100]], ["name": "cer"]], true),
      ("technique.config.alpha", 2.0, true), ("technique.config.guidance_scale", 3, true),
      ("technique.config.alpha", 2.5, false), ("technique.config.use_fp16", false, false), ("seed", 1, false),
      ("technique.config.load_path", "x.safetensors", false), ("technique.config.guidance_scale", 4, false),
      ("metrics.fid.config.limit", 101, false), ("base_model", "other", false),
      ("technique.config.forget_prompts", ["circle"], false),
    ] as [(String, JSON, Bool)])
  func hashes(keyPath: String, value: JSON, isSame: Bool) throws {
    let changed = try points(with(keyPath, value))[0]
    #expect(try (changed.configHash == points(circle)[0].configHash) == isSame)
  }

  @Test("the base model may give itself a name that holds wherever its folder lies")
  func identity() throws {
    func hash(_ folder: String) throws -> String {
      var base = shapes
      base.identity = "sha256:abc"
      return try experiment(with("base_model", .string(folder))).points { _ in base }[0].configHash.hex
    }
    #expect(try hash("./here") == hash("/over/there"))
  }

  @Test("paths start from the file's folder, and a base model without a slash is a name")
  func paths() throws {
    let point = try points(with("base_model", "models/mine"))[0]
    #expect(point.experiment == "e")
    #expect(point.resolve("checkpoints/x.safetensors") == "tests/checkpoints/x.safetensors")
    #expect(point.resolve("/abs/x.safetensors") == "/abs/x.safetensors")
    let named = try points(circle)[0]
    let nowhere = Locations(store: "/none", from: "/", executable: "/none/bin/lethe")
    #expect {
      try nowhere.modelFolder(point.baseModel, from: point.folder)
    } throws: { "\($0)".contains("in the folder tests/models/mine: it has no") }
    #expect {
      try nowhere.modelFolder(named.baseModel, from: named.folder)
    } throws: { "\($0)".hasPrefix("there is no base model \"shapes\"") }
  }

  @Test("an overlay's relative paths start from the overlay's folder, the command line's from where it is typed")
  func overlayPaths() throws {
    let patch: JSON = ["base_model": "./m", "technique": ["config": ["load_path": "w.safetensors"]]]
    let point = try points(circle, Overrides(overlays: [(patch, "/o/overlay.json")]))[0]
    #expect(point.baseModel == "/o/./m")
    #expect(point.technique.config["load_path"] == "/o/w.safetensors")
    let metrics: JSON = ["metrics": [["name": "err", "config": ["adversarial_prompts_path": "a.csv"]]]]
    let measured = try points(circle, Overrides(overlays: [(metrics, "/o/overlay.json")]))[0]
    #expect(measured.metrics[0].config["adversarial_prompts_path"] == "/o/a.csv")
    let typed = try points(circle, Overrides(baseModel: "models/mine"))[0]
    #expect(typed.baseModel == Locations.currentFolder + "/models/mine")
    #expect(try points(circle, Overrides(baseModel: "other"))[0].baseModel == "other")
  }

  @Test("a metric that is listed twice is set by its place, for its name could mean either")
  func ambiguousMetric() throws {
    let cer: JSON = ["name": "cer", "config": ["limit": 3]]
    let both = try circle.setting("attacks", to: [["name": "mma"]])
      .setting("metrics", to: [cer, cer.setting("config.attack", to: "mma")])
    let named = Overrides(assignments: [Assignment("metrics.cer.config.limit", [9])])
    #expect(
      refusal(both, named).contains(
        "this experiment has 2 metrics \"cer\"; give the place of the one that is meant, metrics.0 or metrics.1"))
    let placed = Overrides(assignments: [Assignment("metrics.1.config.limit", [9])])
    #expect(try points(both, placed)[0].metrics.map { $0.config["limit"] } == [3, 9])
  }

  @Test("of several overlays each lies over what those before it made")
  func overlaysInTurn() throws {
    let patches: [(JSON, String)] = [(["seed": 3, "edit_seed": 1], "a.json"), (["edit_seed": 2], "b.json")]
    let point = try points(circle, Overrides(overlays: patches))[0]
    #expect(point.seed == 3)
    #expect(point.editSeed == 2)
    #expect(refusal(circle, Overrides(overlays: patches + [(1, "o.json")])).hasPrefix("o.json: expected an object"))
  }

  @Test("an overlay that is no object is refused by its own name")
  func badOverlay() {
    #expect(refusal(circle, Overrides(overlays: [([1], "o.json")])).hasPrefix("o.json: expected an object to merge"))
  }

  @Test("warnings name unset prompts, large alpha, strong dampening, and words never seen in training")
  func warnings() throws {
    let bare = try points(circle)[0].warnings
    #expect(bare.count == 2)
    #expect(bare[0].hasPrefix("ssd: forget_prompts is not set"))
    #expect(bare[1].hasPrefix("ssd: retain_prompts is not set"))
    let strong: JSON = [
      "technique": [
        "name": "ssd",
        "config": [
          "erase_concept": "circle", "alpha": 100, "dampening_coeff": 1.5,
          "forget_prompts": ["a circle", "a cicrle of disc"], "retain_prompts": ["a photo"],
        ],
      ],
      "metric": ["name": "fid"],
    ]
    let warnings = try points(strong)[0].warnings
    #expect(warnings.count == 3)
    #expect(warnings[0].contains("alpha is 100, above 20"))
    #expect(warnings[1].contains("dampening_coeff is 1.5, above 1"))
    #expect(
      warnings[2]
        == "ssd: forget_prompts holds words that \"shapes\" never saw in training: \"cicrle\", \"disc\"")
    #expect(try points(with("technique.config.load_path", "w.safetensors"))[0].warnings.isEmpty)
  }

  @Test("prompts that the text encoder cuts are one warning, which counts them and shows the first")
  func longPrompts() throws {
    var base = shapes
    base.card = nil
    base.tokenizer = try CLIPTokenizer(folder: Fixtures.path("tokenizer/shapes"))
    let long = ["a red circle", Array(repeating: "circle", count: 40).joined(separator: " ")]
    let document = try with(
      "technique.config.retain_prompts", .array((long + ["of " + long[1]]).map(JSON.string)),
      in: with("technique.config.forget_prompts", .array(long.map(JSON.string))))
    let point = try experiment(document).points { _ in base }[0]
    let words = "circle circle circle circle circle circle circle circle circ..."
    #expect(
      point.warnings == [
        "2 prompts have more tokens than the 30 that the text encoder reads, and are cut, the first of them: \"\(words)\""
      ])
  }

  @Test("a scheduler is a part of the question where it is written, and leaves no trace where it is not")
  func schedulers() throws {
    let plain = try points(circle)[0]
    #expect(plain.technique.config["scheduler"] == nil && plain.technique.config["eta"] == nil)
    let euler = try points(with("technique.config.scheduler", "euler"))[0]
    #expect(euler.technique.config["scheduler"] == "euler" && euler.configHash != plain.configHash)
    #expect(try points(with("technique.config.scheduler", .null))[0].configHash == plain.configHash)
    #expect(try refusal(with("technique.config.scheduler", "dmp_solver++")).contains("did you mean \"dpm_solver++\"?"))
    #expect(try refusal(with("technique.config.eta", 2)).contains("eta"))
  }

  @Test("describe shows a technique's table, and refuses what has none")
  func describe() throws {
    let ssd = try Catalogue.standard.table(of: "ssd")
    #expect(ssd.kind == .technique)
    #expect(
      ssd.rows.map(\.key) == [
        "erase_concept", "forget_prompts", "retain_prompts", "rule", "alpha", "dampening_coeff", "selection_weighting",
        "dampening_constant", "num_fisher_samples", "latent_source", "save_path", "load_path", "num_inference_steps",
        "guidance_scale", "scheduler", "eta", "use_fp16", "device",
      ])
    let steps = try #require(ssd.rows.first { $0.key == "num_inference_steps" })
    #expect(steps.defaultValue == 50 && steps.filledBy == .baseModel)
    #expect(try Catalogue.standard.table(of: "cer").kind == .metric)
    #expect(throws: ConfigurationError.self) { try Catalogue.standard.table(of: "salun") }
    let unknown = #expect(throws: ConfigurationError.self) { try Catalogue.standard.table(of: "clipscore") }
    #expect(unknown?.message.contains("did you mean \"clip_score\"?") == true)
  }
}
