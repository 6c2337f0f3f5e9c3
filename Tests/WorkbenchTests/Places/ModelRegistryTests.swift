import Configuration
import Diffusion
import Foundation
import Store
import Tensors
import Testing
import TestSupport
import Workbench

private func locations(_ folder: String) -> Locations {
  Locations(store: folder + "/store", from: folder, executable: folder + "/bin/lethe")
}

private func digests(_ folder: String) -> FileDigests { FileDigests(storeFolder: folder + "/store") }

private func refusal(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no refusal"
  } catch {
    return "\(error)"
  }
}

@Suite("Named models")
struct ModelRegistryTests {
  @Test("a registered name means its folder until it is removed, and the folder stays")
  func registering() throws {
    try withScratchFolder { folder in
      let (locations, model) = (locations(folder), folder + "/elsewhere/tiny")
      try FileManager.default.createDirectory(atPath: folder + "/elsewhere", withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: model)
      let known = try locations.register("tiny-1.4", folder: model, taken: [], digests: digests(folder))
      #expect(known.folder == model)
      let base = try BaseModel(name: "other", folder: model, digests: digests(folder))
      #expect(known.digest == base.digest)
      #expect(try locations.modelFolder("tiny-1.4", from: "anywhere") == model)
      #expect(try locations.modelNames == ["tiny-1.4"])
      let listed = try locations.knownModels(digests(folder))
      #expect(listed.map(\.name) == ["tiny-1.4"] && listed[0].isRegistered)

      let removed = try locations.registry.remove("tiny-1.4")
      #expect(removed == model)
      #expect(FileManager.default.fileExists(atPath: model + "/model_index.json"))
      let gone = refusal { _ = try locations.modelFolder("tiny-1.4", from: "") }
      #expect(gone.hasPrefix("there is no base model \"tiny-1.4\""))
      let again = refusal { try locations.registry.remove("tiny-1.4") }
      #expect(again.hasPrefix("no model \"tiny-1.4\" is registered in "))
    }
  }

  /// A model in a single file, with the folders beside it that it needs.
  private func writeSingleFile(_ path: String) throws {
    let fixture = try JSON.read(Fixtures.path("checkpoint.json"))["first"]
    var weights = fixture?["others"]?.object ?? [:]
    for part in ["text_encoder", "unet", "vae"] {
      for (_, origin) in fixture?[part]?["weights"]?.object ?? [:] {
        weights[try #require(origin[0]?.string)] = origin[1]
      }
    }
    try Safetensors.write(
      weights.map { name, shape in
        (name: name, tensor: RandomStream(seed: 1, name).normal(shape.array?.compactMap(\.integer) ?? []))
      }, to: path)
    try FileManager.default.copyItem(
      atPath: Fixtures.path("tiny-diffusers/tokenizer"),
      toPath: (path as NSString).deletingLastPathComponent + "/tokenizer")
  }

  @Test("a model in a single file is given a name as a folder is, and a file that is gone is told as one")
  func singleFile() throws {
    try withScratchFolder { folder in
      let (locations, model) = (locations(folder), folder + "/sd.safetensors")
      func register(_ path: String) throws -> KnownModel {
        try locations.register("sd", folder: path, taken: [], digests: digests(folder))
      }
      #expect(refusal { _ = try register(model) } == "there is no model file \(model)")
      #expect(!FileManager.default.fileExists(atPath: locations.store))
      try writeSingleFile(model)
      let known = try register(model)
      #expect(known.folder == model && known.summary?.parts.count == 3)
      #expect(try locations.modelFolder("sd", from: "anywhere") == model)
      #expect(try locations.knownModel("sd", digests(folder)).digest == known.digest)
      #expect(try locations.knownModels(digests(folder)).map(\.problem) == [nil])
      var benchmark = PartBenchmark(.vaeDecode)
      (benchmark.repeats, benchmark.latentSize) = (1, 8)
      #expect(try benchmark.run(folder: model, monitor: WorkMonitor()).latentSize == 8)
      // The tokenizer lies beside the file.
      #expect(try BaseModel(name: "sd", folder: model, digests: digests(folder)).declaration.tokenizer != nil)

      try FileManager.default.removeItem(atPath: model)
      let gone = refusal { _ = try locations.modelFolder("sd", from: "") }
      #expect(
        gone == "the model \"sd\" is registered as the file \(model), which is not there any more; lethe models "
          + "remove sd forgets it")
    }
  }

  @Test(
    "a name that looks like a path, has other characters, is reserved or means something else already is refused",
    arguments: [
      ("a/b", "it looks like a path"), (".hidden", "it looks like a path"), ("~me", "it looks like a path"),
      ("", "a name has letters, digits"), ("two words", "a name has letters, digits"), ("-x", "a name has letters"),
      ("shapes", "the model that comes with Lethe is called so"), ("ssd", "a technique, an attack or a metric"),
      ("near", "the model in "), ("taken", "\"taken\" is the model in "),
    ] as [(String, String)])
  func names(_ name: String, _ sentence: String) throws {
    try withScratchFolder { folder in
      let (locations, model) = (locations(folder), folder + "/store/models/near")
      try FileManager.default.createDirectory(atPath: folder + "/store/models", withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: model)
      func register(_ name: String) throws {
        _ = try locations.register(name, folder: model, taken: ["ssd"], digests: digests(folder))
      }
      try register("taken")
      let found = refusal { try register(name) }
      #expect(found.contains(sentence), "\(found)")
      #expect(try locations.modelNames == ["near", "taken"])
    }
  }

  @Test("a folder that does not open as a model is refused by file and weight, and nothing is registered")
  func broken() throws {
    try withScratchFolder { folder in
      let (locations, model) = (locations(folder), folder + "/tiny")
      func register() throws {
        _ = try locations.register("tiny", folder: model, taken: [], digests: digests(folder))
      }
      #expect(refusal(register).hasPrefix("there is no base model in the folder \(model)"))
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: model)
      let config = model + "/unet/config.json"
      let text = try String(contentsOfFile: config, encoding: .utf8)
      try text.replacingOccurrences(of: "\"layers_per_block\": 2", with: "\"layers_per_block\": 3")
        .write(toFile: config, atomically: true, encoding: .utf8)
      let sentence = refusal(register)
      #expect(sentence.contains("unet/diffusion_pytorch_model.safetensors"), "\(sentence)")
      #expect(try locations.modelNames.isEmpty)
    }
  }

  @Test(
    "a model folder without permission is told as that and not as missing, named, by its path and by its parts")
  func forbidden() async {
    await #expect(processExitsWith: .success) {
      try withScratchFolder { folder in
        let (locations, model) = (locations(folder), folder + "/tiny")
        try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: model)
        try becomeOrdinaryUser(owning: folder)
        func register(_ name: String) throws {
          _ = try locations.register(name, folder: model, taken: [], digests: digests(folder))
        }
        try register("tiny")
        #expect(chmod(model + "/unet", 0) == 0)
        let part = refusal { _ = try DiffusionModel(folder: model) }
        #expect(part == "\(model)/unet: cannot be read: no permission")
        #expect(chmod(model + "/unet", 0o700) == 0 && chmod(model, 0) == 0)
        defer { chmod(model, 0o700) }
        let path = refusal { _ = try locations.modelFolder(model, from: "") }
        #expect(path == "the model folder \(model) cannot be read: no permission")
        let named = refusal { _ = try locations.modelFolder("tiny", from: "") }
        let which = "is registered as the folder \(model), which cannot be read: no permission"
        #expect(named.hasSuffix(which), "\(named)")
        let again = refusal { try register("again") }
        #expect(again == path)
      }
    }
  }

  @Test("a damaged registry, and a folder that is gone, are told in one sentence each")
  func damage() throws {
    try withScratchFolder { folder in
      let (locations, model) = (locations(folder), folder + "/tiny")
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: model)
      _ = try locations.register("tiny", folder: model, taken: [], digests: digests(folder))
      try FileManager.default.removeItem(atPath: model)
      let gone = refusal { _ = try locations.modelFolder("tiny", from: "") }
      #expect(gone.hasPrefix("the model \"tiny\" is registered as the folder \(model), which is no model any more"))
      // Listed all the same, with what is wrong.
      let listed = try locations.knownModels(digests(folder))
      #expect(listed.count == 1 && listed[0].summary == nil)
      #expect(listed[0].problem?.contains("there is no such model folder") == true)

      let file = folder + "/store/models.json"
      for (text, sentence) in [
        ("{", "\(file):1:2: "), ("{}", "\(file): it is not a registry of the format \"lethe models 1\""),
        (#"{"format": "lethe models 1", "models": {"a": {"folder": "b"}}}"#, "the model \"a\" has no absolute folder"),
      ] {
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let found = refusal { _ = try locations.modelFolder("tiny", from: "") }
        #expect(found.contains(sentence), "\(found)")
      }
    }
  }

  @Test("an experiment on a registered name asks the same question as one on its folder")
  func experiments() throws {
    let bench = try SmallWorkbench()
    let digests = FileDigests(storeFolder: bench.store.folder)
    _ = try bench.locations.register("mine", folder: bench.modelFolder, taken: [], digests: digests)
    let (byName, byFolder) = (try bench.points(with(small, "base_model", "mine")), try bench.points(small))
    #expect(byName[0].configHash == byFolder[0].configHash)
    let plan = try bench.runner().plan(byName[0])
    #expect(plan.stages[0].key == (try bench.runner().plan(byFolder[0]).stages[0].key))
  }

  @Test("a summary has each part's tensors, parameters, bytes and precision from headers alone")
  func summary() throws {
    try withScratchFolder { folder in
      let tiny = Fixtures.path("tiny-diffusers")
      let model = try DiffusionModel(folder: tiny)
      let summary = try ModelSummary(folder: tiny)
      #expect(summary.parts.map(\.name) == ["text_encoder", "unet", "vae"])
      #expect(summary.parts[1].parameters == model.unetWeights.parameterCount)
      #expect(summary.parts[1].tensors == model.unetWeights.names.count)
      #expect(summary.bytes == 4 * summary.parameters)
      #expect(summary.precision == .float32 && summary.predictionType == "epsilon" && summary.resolution == 32)
      #expect(summary.family == "latent diffusion" && summary.card == nil)

      try model.write(to: folder + "/half", half: true)
      let half = try ModelSummary(folder: folder + "/half")
      #expect(half.precision == .float16 && half.bytes == 2 * half.parameters)
      // The UNet in single precision beside the other parts in half.
      let (unet, name) = ("/unet/", "diffusion_pytorch_model.safetensors")
      try FileManager.default.removeItem(atPath: folder + "/half" + unet + name)
      try FileManager.default.copyItem(atPath: tiny + unet + name, toPath: folder + "/half" + unet + name)
      #expect(try ModelSummary(folder: folder + "/half").precision == .mixed)
    }
  }
}
