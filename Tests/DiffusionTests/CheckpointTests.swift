import Configuration
import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing

/// A model in a single file, in the naming of Stable Diffusion's own code, is the model that diffusers makes of it.
@Suite struct CheckpointTests {
  private let fixture: JSON

  init() throws { fixture = try JSON.read(Fixtures.path("checkpoint.json")) }

  private static let parts = ["text_encoder", "unet", "vae"]

  private func shape(_ json: JSON?) throws -> [Int] { try #require(json?.array).compactMap(\.integer) }

  /// Weights of their own for every name of the single file.
  private func weights(_ model: String) throws -> [String: Tensor] {
    var shapes = try #require(fixture[model]?["others"]?.object).mapValues(shape)
    for part in Self.parts {
      for (_, origin) in try #require(fixture[model]?[part]?["weights"]?.object) {
        shapes[try #require(origin[0]?.string)] = try shape(origin[1])
      }
    }
    return shapes.reduce(into: [:]) { $0[$1.key] = RandomStream(seed: 1, $1.key).normal($1.value) }
  }

  /// A folder with the single file, a tokenizer and, unless left out, a schedule that predicts the noise.
  private func withCheckpoint(
    _ model: String, ending: String = "safetensors", tokenizer: Bool = true, schedule: Bool = true,
    change: (inout [String: Tensor]) -> Void = { _ in }, _ body: (String, [String: Tensor]) throws -> Void
  ) throws {
    var tensors = try weights(model)
    change(&tensors)
    try withScratchFolder { folder in
      let path = "\(folder)/model.\(ending)"
      let named = tensors.map { (name: $0.key, tensor: $0.value) }
      if ending == "safetensors" {
        try Safetensors.write(named, to: path)
      } else {
        try TorchFile.write(named, to: path)
      }
      let files = FileManager.default
      if tokenizer { try files.copyItem(atPath: Reference.tinyDiffusers + "/tokenizer", toPath: folder + "/tokenizer") }
      if schedule {
        try WholeFile.makeFolder(folder + "/scheduler")
        try WholeFile.write(SchedulerConfig().json.canonical(), to: folder + "/scheduler/scheduler_config.json")
      }
      try body(path, tensors)
    }
  }

  @Test(arguments: [("first", "safetensors"), ("first", "CKPT"), ("second", "safetensors"), ("second", "ckpt")])
  func `every weight has the name, shape and values that diffusers' conversion gives it`(
    model: String, ending: String
  ) throws {
    try withCheckpoint(model, ending: ending) { path, tensors in
      let opened = try DiffusionModel(folder: path)
      for (part, weights) in [
        ("text_encoder", opened.textWeights), ("unet", opened.unetWeights), ("vae", opened.vaeWeights),
      ] {
        let origins = try #require(fixture[model]?[part]?["weights"]?.object)
        #expect(weights.names == origins.keys.sorted())
        for (name, tensor) in weights.tensors {
          let origin = try #require(origins[name])
          let (source, row) = (try #require(origin[0]?.string), try #require(origin[2]?.integer))
          let whole = try #require(tensors[source])
          let start = row * (whole.count / max(whole.shape.first ?? 1, 1))
          #expect(tensor.values == Array(whole.values[start..<start + tensor.count]), "\(name)")
        }
      }
      #expect(opened.assumptions.isEmpty)
      #expect(opened.weightFiles == [path])
    }
  }

  @Test(arguments: ["first", "second"])
  func `the architecture that the shapes tell is the one that diffusers wrote down`(model: String) throws {
    func configuration(_ part: String) throws -> ConfigurationFile {
      ConfigurationFile(file: part, values: try #require(fixture[model]?[part]?["config"]?.object))
    }
    try withCheckpoint(model) { path, _ in
      let found = try DiffusionModel(folder: path).architecture
      #expect(found.unet == (try UNetConfig(configuration("unet"))))
      #expect(found.vae == (try AutoencoderConfig(configuration("vae"))))
      #expect(found.text == (try CLIPTextConfig(configuration("text_encoder"))))
    }
  }

  @Test func `a single file and the folder that is written from it are the same model`() throws {
    try withCheckpoint("second") { path, _ in
      let model = try DiffusionModel(folder: path)
      let folder = path + ".folder"
      try model.write(to: folder)
      let copy = try DiffusionModel(folder: folder)
      #expect(copy.architecture == model.architecture)
      #expect(copy.unetWeights.tensors.allSatisfy { model.unetWeights[$0.name].map(bits) == bits($0.tensor) })
      #expect(bits(copy.textEncoder([[1, 2, 3]])) == bits(model.textEncoder([[1, 2, 3]])))
    }
  }

  @Test(arguments: ["first", "second"])
  func `parts alone are those of the whole model, and a file that changes meanwhile is named`(model: String) throws {
    try withCheckpoint(model, ending: "ckpt") { path, _ in
      let stamps = try FileStamps(ofModel: path)
      let whole = try DiffusionModel(folder: path)
      let (unet, unetWeights) = try UNet2DConditionModel.read(folder: path)
      let (vae, vaeWeights) = try AutoencoderKL.read(folder: path)
      let (text, textWeights) = try CLIPTextModel.read(folder: path)
      #expect(unet.config == whole.architecture.unet && vae.config == whole.architecture.vae)
      #expect(text.config == whole.architecture.text)
      for (part, all) in [
        (unetWeights, whole.unetWeights), (vaeWeights, whole.vaeWeights), (textWeights, whole.textWeights),
      ] {
        #expect(part.names == all.names)
        #expect(part.tensors.allSatisfy { all[$0.name].map(bits) == bits($0.tensor) })
      }
      let schedule = try DDIMScheduler.read(folder: path).schedule
      #expect(schedule.predictionType == whole.schedule.predictionType)
      #expect(schedule.cumulativeAlphas == whole.schedule.cumulativeAlphas)
      try stamps.confirmUnchanged()
      try WholeFile.write([UInt8](Data(contentsOf: URL(filePath: path))), to: path)
      let error = #expect(throws: ModelFolderError.self) { try stamps.confirmUnchanged() }
      #expect(error?.description == "\(path): changed while the model was being read")
    }
  }

  @Test func `running averages, a training's state and the row numbers of positions are passed over`() throws {
    let others = [
      "model_ema.decay", "model_ema.diffusion_modelinput_blocks00weight", "betas", "first_stage_model.loss.logvar",
      "cond_stage_model.transformer.text_model.embeddings.position_ids", "cond_stage_model.logit_scale",
    ]
    try withCheckpoint("first", change: { for name in others { $0[name] = Tensor([1, 2], shape: [2]) } }) { path, _ in
      #expect(refusal(path) == "accepted")
    }
  }

  @Test func `a missing tokenizer is a sentence that says where it belongs`() throws {
    try withCheckpoint("first", tokenizer: false) { path, _ in
      let place = (path as NSString).deletingLastPathComponent + "/tokenizer"
      #expect(
        refusal(path)
          == "\(path): has no tokenizer, as no such file has: put the tokenizer folder of its model (vocab.json, "
          + "merges.txt) at \(place)")
    }
  }

  @Test func `what the UNet predicts is told by the training's configuration beside the file`() throws {
    try withCheckpoint("second", schedule: false) { path, _ in
      let yaml = (path as NSString).deletingPathExtension + ".yaml"
      let alone = try DiffusionModel(folder: path)
      #expect(alone.architecture.scheduler.predictionType == .velocity && alone.architecture.unet.sampleSize == 96)
      #expect(
        alone.assumptions == [
          "\(path) does not say what its UNet predicts: v is taken for granted, as Stable Diffusion 2 has it at 768 "
            + "pixels; for one that predicts the noise write `parameterization: eps` into \(yaml)"
        ])
      let parameters = "model:\n  params:\n    linear_start: 0.00085\n"
      try WholeFile.write(parameters + "    timesteps: 1000\n", to: yaml)
      let model = try DiffusionModel(folder: path)
      #expect(model.assumptions.isEmpty && model.architecture.unet.sampleSize == 64)
      #expect(model.architecture.scheduler.predictionType == .epsilon)
      #expect(try ModelFiles.list(of: path).contains("model.yaml"))
      try WholeFile.write(parameters + "    parameterization: \"x0\"\n", to: yaml)
      #expect(refusal(path) == "\(yaml): `parameterization`: \"x0\" is not supported, only eps or v")
    }
  }

  @Test func `what lies beside the file and may not be read is refused and not left out`() async {
    await #expect(processExitsWith: .success) {
      try Self().withCheckpoint("first") { path, _ in
        let folder = ModelFiles.place(of: path)
        try becomeOrdinaryUser(owning: folder)
        #expect(refusal(path) == "accepted")
        let files = try ModelFiles.list(of: path)
        for name in ["scheduler", "tokenizer"] {
          // A folder whose names may not be read, and one whose names alone may.
          for mode in [0o100, 0o400] as [mode_t] {
            #expect(chmod("\(folder)/\(name)", mode) == 0)
            let sentence = refusal(path)
            #expect(sentence.hasPrefix("\(folder)/\(name)"), "\(sentence)")
            #expect(sentence.hasSuffix(": cannot be read: no permission"), "\(sentence)")
            #expect((try? ModelFiles.list(of: path)) == (mode == 0o100 ? nil : files))
          }
          #expect(chmod("\(folder)/\(name)", 0o700) == 0)
        }
        let schedule = "\(folder)/scheduler/scheduler_config.json"
        #expect(chmod(schedule, 0) == 0)
        #expect(refusal(path) == "\(schedule): cannot be read: no permission")
      }
    }
  }

  @Test func `weights that are missing or are none of the model's are listed`() throws {
    let prefix = "model.diffusion_model."
    try withCheckpoint(
      "first",
      change: {
        $0[prefix + "out.0.weights"] = $0.removeValue(forKey: prefix + "out.0.weight")
      }
    ) { path, _ in
      #expect(
        refusal(path)
          == "\(path): is without 1 weight that the configuration asks for: 'conv_norm_out.weight'; it has 1 weight "
          + "that the configuration does not describe: 'conv_norm_out.weights'")
    }
  }

  @Test(arguments: [
    ("first", "model.diffusion_model.out.0.weight"), ("first", "model.diffusion_model.input_blocks.0.0.weight"),
    ("second", "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"),
  ])
  func `weights of integers are told by their data type and the name that the file gives them`(
    model: String, name: String
  ) throws {
    try withCheckpoint(model) { path, _ in
      try makeIntegers(of: [name], in: path)
      let sentence = refusal(path)
      #expect(
        sentence.hasPrefix(
          "\(path): `\(name)`: has the data type I32, which Lethe does not read as weights; it reads F32, F16, BF16"),
        "\(sentence)")
    }
  }

  @Test(arguments: [
    ("conditioner.embedders.0.transformer.text_model.final_layer_norm.weight", "is a Stable Diffusion XL model"),
    ("model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale", "is a Flux model"),
    ("model.diffusion_model.joint_blocks.0.context_block.attn.proj.bias", "is a Stable Diffusion 3 model"),
    ("lora_unet_down_blocks_0.lora_up.weight", "is a LoRA, which changes a model and is none"),
  ])
  func `a single file of another family is refused by its name`(name: String, says: String) throws {
    try withScratchFolder { folder in
      let path = folder + "/other.safetensors"
      try Safetensors.write([(name, Tensor(1))], to: path)
      #expect(refusal(path) == "\(path): \(says); Lethe opens Stable Diffusion 1 and 2")
    }
  }

  @Test func `a file that is no whole model is refused by the part that it lacks`() throws {
    try withCheckpoint("first", change: { tensors in
      tensors = tensors.filter { !$0.key.hasPrefix("first_stage_model.") }
    }) { path, _ in
      #expect(
        refusal(path)
          == "\(path): is no whole Stable Diffusion model: it has no weights of the autoencoder, which begin with "
          + "first_stage_model.")
    }
    try withCheckpoint("first", change: { tensors in
      tensors["model.diffusion_model.input_blocks.0.0.weight"] = Tensor.zeros([32, 9, 3, 3])
    }) { path, _ in
      #expect(refusal(path).contains("sees 9 channels and predicts 4, for inpainting, depth or edits by instruction"))
    }
  }
}
