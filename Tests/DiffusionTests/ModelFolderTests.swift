import Configuration
import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing

/// What is wrong with a folder is said in one sentence that names file and key.
@Suite struct ModelFolderTests {
  private func set(_ value: JSON?, at key: String, in file: String) throws {
    var values = try #require(JSON.read(file).object)
    values[key] = value
    try Data(JSON.object(values).pretty().utf8).write(to: URL(filePath: file))
  }

  @Test func `a folder that is not there is named`() {
    #expect(refusal("/nowhere/model") == "/nowhere/model: there is no such model folder")
  }

  @Test(arguments: [
    "model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json",
    "scheduler/scheduler_config.json", "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors",
    "tokenizer",
  ])
  func `a missing file is named`(name: String) throws {
    try withModelFolder { folder in
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
      #expect(refusal(folder).hasPrefix("\(folder)/\(name)"))
      #expect(!refusal(folder).contains("\n"))
    }
  }

  @Test func `malformed JSON is refused with its file and line`() throws {
    try withModelFolder { folder in
      try Data("{\n \"act_fn\": silu}".utf8).write(to: URL(filePath: "\(folder)/unet/config.json"))
      #expect(refusal(folder).hasPrefix("\(folder)/unet/config.json: line 2"))
    }
  }

  struct Refusal: Sendable {
    let file: String
    let key: String
    let value: JSON
    let says: String
  }

  @Test(arguments: [
    Refusal(
      file: "model_index.json", key: "_class_name", value: "StableDiffusionXLPipeline",
      says: "StableDiffusionXLPipeline"),
    Refusal(
      file: "model_index.json", key: "text_encoder", value: ["transformers", "T5EncoderModel"], says: "T5EncoderModel"),
    Refusal(
      file: "model_index.json", key: "scheduler", value: ["diffusers", "UniPCMultistepScheduler"],
      says: "\"UniPCMultistepScheduler\" is not supported, only DDIMScheduler, PNDMScheduler, LMSDiscreteScheduler, "
        + "DPMSolverMultistepScheduler, EulerDiscreteScheduler, DDPMScheduler"),
    Refusal(
      file: "scheduler/scheduler_config.json", key: "prediction_type", value: "flow_prediction",
      says: "only epsilon, v_prediction, sample"),
    Refusal(
      file: "scheduler/scheduler_config.json", key: "beta_schedule", value: "sigmoid",
      says: "only linear, scaled_linear, squaredcos_cap_v2"),
    Refusal(
      file: "scheduler/scheduler_config.json", key: "algorithm_type", value: "sde-dpmsolver++",
      says: "\"dpmsolver++\""),
    Refusal(file: "scheduler/scheduler_config.json", key: "solver_order", value: 3, says: "only 1 or 2"),
    Refusal(file: "scheduler/scheduler_config.json", key: "use_beta_sigmas", value: true, says: "not supported"),
    Refusal(
      file: "scheduler/scheduler_config.json", key: "timestep_spacng", value: "leading",
      says: "did you mean `timestep_spacing`"),
    Refusal(file: "scheduler/scheduler_config.json", key: "thresholding", value: true, says: "true is not supported"),
    Refusal(file: "scheduler/scheduler_config.json", key: "beta_end", value: 2, says: "beta_start"),
    Refusal(file: "unet/config.json", key: "class_embed_type", value: "timestep", says: "not supported"),
    Refusal(file: "unet/config.json", key: "only_cross_attention", value: true, says: "not supported"),
    Refusal(file: "unet/config.json", key: "act_fn", value: "mish", says: "mish"),
    Refusal(file: "unet/config.json", key: "norm_num_groups", value: 5, says: "5 groups"),
    Refusal(file: "unet/config.json", key: "norm_num_groups", value: nil, says: "without group norms"),
    Refusal(file: "unet/config.json", key: "attention_head_dim", value: 3, says: "3 heads"),
    Refusal(file: "unet/config.json", key: "attention_head_dim", value: [4, 4], says: "2 values"),
    Refusal(file: "unet/config.json", key: "block_out_channels", value: "wide", says: "list"),
    Refusal(
      file: "unet/config.json", key: "down_block_types", value: ["AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
      says: "AttnDownBlock2D"),
    Refusal(file: "unet/config.json", key: "up_block_types", value: ["UpBlock2D"], says: "1 blocks"),
    Refusal(file: "unet/config.json", key: "layers_per_block", value: 0, says: "too small"),
    Refusal(file: "unet/config.json", key: "layers_per_blok", value: 2, says: "did you mean `layers_per_block`"),
    Refusal(file: "unet/config.json", key: "sample_size", value: 6, says: "multiple of 4"),
    Refusal(file: "unet/config.json", key: "freq_shift", value: "0", says: "a number was expected"),
    Refusal(file: "unet/config.json", key: "downsample_padding", value: 2, says: "only 0 or 1"),
    Refusal(file: "unet/config.json", key: "down_block_types", value: nil, says: "4 blocks for the 3 levels"),
    Refusal(file: "unet/config.json", key: "up_block_types", value: nil, says: "4 blocks for the 3 levels"),
    Refusal(file: "unet/config.json", key: "layers_per_block", value: 1_048_577, says: "too large"),
    Refusal(file: "unet/config.json", key: "block_out_channels", value: [8, 8, 2_000_000], says: "at most"),
    Refusal(
      file: "unet/config.json", key: "block_out_channels", value: .array([JSON](repeating: 8, count: 64)),
      says: "at most 32 numbers"),
    Refusal(
      file: "scheduler/scheduler_config.json", key: "num_train_timesteps", value: 1_000_000_000, says: "too large"),
    Refusal(file: "vae/config.json", key: "shift_factor", value: 0.1, says: "not supported"),
    Refusal(
      file: "vae/config.json", key: "down_block_types", value: ["AttnDownEncoderBlock2D"],
      says: "AttnDownEncoderBlock2D"),
    Refusal(file: "text_encoder/config.json", key: "hidden_act", value: "swiglu", says: "swiglu"),
    Refusal(file: "text_encoder/config.json", key: "num_attention_heads", value: 7, says: "7 heads"),
    Refusal(file: "text_encoder/config.json", key: "rope_theta", value: 10000, says: "not known"),
  ])
  func `a setting that is not supported is refused by file and key`(refusal expected: Refusal) throws {
    try withModelFolder { folder in
      try set(expected.value, at: expected.key, in: "\(folder)/\(expected.file)")
      let sentence = refusal(folder)
      let part = expected.file.split(separator: "/")[0]
      #expect(sentence.hasPrefix("\(folder)/\(part)") && sentence.contains("`\(expected.key)`"), "\(sentence)")
      #expect(sentence.contains(expected.says), "\(sentence)")
    }
  }

  @Test(arguments: ["in_channels", "out_channels"])
  func `an autoencoder of other pictures than red, green and blue is refused`(key: String) throws {
    try withModelFolder { folder in
      let config = "\(folder)/vae/config.json", path = "\(folder)/vae/diffusion_pytorch_model.safetensors"
      try set(4, at: key, in: config)
      let shapes = Weights(initialising: RandomStream(seed: 1, "vae"))
      _ = try AutoencoderKL(AutoencoderConfig(ConfigurationFile(path: config)), shapes)
      try Safetensors.write(shapes.tensors, to: path)
      #expect(refusal(folder) == "\(path): `\(key)`: an autoencoder of 4 channels does not fit pictures of 3")
    }
  }

  @Test func `a tokenizer with an empty special token is refused and does not search for it for ever`() throws {
    try withModelFolder { folder in
      var vocabulary = try #require(JSON.read("\(folder)/tokenizer/vocab.json").object)
      vocabulary[""] = .integer(vocabulary.count)
      try WholeFile.write(JSON.object(vocabulary).canonical(), to: "\(folder)/tokenizer/vocab.json")
      try set("", at: "unk_token", in: "\(folder)/tokenizer/tokenizer_config.json")
      #expect(refusal(folder) == "\(folder)/tokenizer: the unk_token is empty")
    }
  }

  @Test func `a model that is written over and fails half way is no model any more`() throws {
    try withModelFolder { folder in
      let model = try DiffusionModel(folder: folder)
      // A folder where a file should be written ends the writing after the first parts.
      try FileManager.default.removeItem(atPath: "\(folder)/vae/config.json")
      try WholeFile.makeFolder("\(folder)/vae/config.json")
      let error = #expect(throws: FileError.self) { try model.write(to: folder) }
      #expect(error?.path == "\(folder)/vae/config.json")
      #expect(refusal(folder).hasPrefix("\(folder)/model_index.json"))
    }
  }

  @Test func `parts of different widths are refused`() throws {
    try withModelFolder { folder in
      try set(24, at: "cross_attention_dim", in: "\(folder)/unet/config.json")
      // The UNet's own weights disagree first, and say so with both shapes.
      #expect(refusal(folder).contains("attn2.to_k.weight"))
    }
  }

  @Test func `a missing weight, a wrong shape and a weight too many are named`() throws {
    try withModelFolder { folder in
      let path = "\(folder)/unet/diffusion_pytorch_model.safetensors"
      let tensors = try Weights(loading: SafetensorsFile(path)).tensors
      try Safetensors.write(tensors.filter { $0.name != "conv_out.bias" }, to: path)
      #expect(refusal(folder).contains(path) && refusal(folder).contains("conv_out.bias"))
      try Safetensors.write(
        tensors.map { ($0.name, $0.name == "conv_out.bias" ? Tensor.zeros([5]) : $0.tensor) }, to: path)
      #expect(refusal(folder).contains("conv_out.bias") && refusal(folder).contains("[5]"))
      try Safetensors.write(tensors + [("add_embedding.weight", Tensor.zeros([2]))], to: path)
      #expect(refusal(folder).contains("`add_embedding.weight`"))
    }
  }

  @Test func `a truncated weight file is refused`() throws {
    try withModelFolder { folder in
      let path = "\(folder)/vae/diffusion_pytorch_model.safetensors"
      let bytes = try Data(contentsOf: URL(filePath: path))
      try bytes.prefix(bytes.count / 2).write(to: URL(filePath: path))
      #expect(refusal(folder).hasPrefix(path))
    }
  }

  @Test func `a written folder reads back as the same model`() throws {
    let model = try DiffusionModel(folder: Reference.tinyDiffusers)
    try withScratchFolder { folder in
      let path = folder + "/copy"
      try model.write(to: path)
      let copy = try DiffusionModel(folder: path)
      #expect(copy.architecture == model.architecture)
      #expect(copy.tokenizer.encode("a red circle") == model.tokenizer.encode("a red circle"))
      for (name, tensor) in model.unetWeights.tensors {
        #expect(copy.unetWeights[name].map(bits) == bits(tensor), "\(name)")
      }
      #expect(copy.textWeights.names.allSatisfy { $0.hasPrefix("text_model.") })
      #expect(bits(copy.textEncoder([[1, 2, 3]])) == bits(model.textEncoder([[1, 2, 3]])))
      // Written over itself, as a training run does when it ships a better model.
      try copy.write(to: path, half: true)
      let half = try DiffusionModel(folder: path)
      let rounded = try model.roundedToHalf()
      for (name, tensor) in rounded.unetWeights.tensors {
        #expect(half.unetWeights[name].map(bits) == bits(tensor), "\(name)")
      }
    }
  }

  @Test func `weights in half precision and under other file names are read`() throws {
    try withModelFolder { folder in
      let path = "\(folder)/unet/diffusion_pytorch_model.safetensors"
      try FileManager.default.moveItem(atPath: path, toPath: "\(folder)/unet/model.safetensors")
      let model = try DiffusionModel(folder: folder)
      #expect(model.unetWeights.source == "\(folder)/unet/model.safetensors")
    }
  }

  @Test func `the row numbers that old text encoders keep are passed over`() throws {
    try withModelFolder { folder in
      let path = "\(folder)/text_encoder/model.safetensors"
      let plain = try DiffusionModel(folder: folder)
      try addIntegers(named: "embeddings.position_ids", to: path)
      let model = try DiffusionModel(folder: folder)
      #expect(bits(model.textEncoder([[1, 2]])) == bits(plain.textEncoder([[1, 2]])))
    }
  }

  /// Adds two 64-bit integers to a safetensors file, behind all other tensors.
  private func addIntegers(named name: String, to path: String) throws {
    let bytes = try [UInt8](Data(contentsOf: URL(filePath: path)))
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let end = bytes.count - 8 - length
    var header = try #require(JSON.parse(bytes[8..<8 + length], file: path).object)
    header[name] = ["dtype": "I64", "shape": [1, 2], "data_offsets": .array([.integer(end), .integer(end + 16)])]
    let text = Array(JSON.object(header).canonical().utf8)
    let size = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
    // Not in place: a model that was read from the file shows its memory.
    try WholeFile.write(size + text + bytes[(8 + length)...] + [UInt8](repeating: 0, count: 16), to: path)
  }

  @Test func `an autoencoder with the attention names of Stable Diffusion v1 is the same autoencoder`() throws {
    let (config, weights) = try Reference.vae()
    let old = weights.tensors.map { weight -> (String, Tensor) in
      var name = weight.name
      for (new, old) in [("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")] {
        name = name.replacingOccurrences(of: ".attentions.0.\(new).", with: ".attentions.0.\(old).")
      }
      return (name, weight.tensor)
    }
    let renamed = Weights(Dictionary(uniqueKeysWithValues: old), source: "old names")
    let latents = try Reference.tensor("vae.latents")
    #expect(
      bits(try AutoencoderKL(config, renamed).decode(latents))
        == bits(try AutoencoderKL(config, weights).decode(latents)))
    #expect(renamed.unused.isEmpty)
  }

  @Test func `Stable Diffusion v1's own configurations are read`() throws {
    let unet = try UNetConfig(
      ConfigurationFile(
        file: "unet/config.json",
        values: try #require(
          JSON.parse(
            """
            {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.2.2", "act_fn": "silu",
             "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": false,
             "cross_attention_dim": 768, "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
             "CrossAttnDownBlock2D", "DownBlock2D"], "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0,
             "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05,
             "norm_num_groups": 32, "out_channels": 4, "sample_size": 64, "up_block_types": ["UpBlock2D",
             "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]}
            """, file: "unet/config.json"
          ).object)))
    #expect(unet == UNetConfig())
    let scheduler = try SchedulerConfig(
      ConfigurationFile(
        file: "scheduler_config.json",
        values: try #require(
          JSON.parse(
            """
            {"_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0.dev0", "beta_end": 0.012,
             "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
             "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
             "clip_sample": false}
            """, file: "scheduler_config.json"
          ).object)))
    var pndm = SchedulerConfig()
    pndm.scheduler = .pndm
    #expect(scheduler == pndm)
    let vae = try AutoencoderConfig(
      ConfigurationFile(
        file: "vae/config.json",
        values: try #require(
          JSON.parse(
            """
            {"_class_name": "AutoencoderKL", "_diffusers_version": "0.2.2", "act_fn": "silu",
             "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D",
             "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"], "in_channels": 3, "latent_channels": 4,
             "layers_per_block": 2, "out_channels": 3, "sample_size": 512, "up_block_types": ["UpDecoderBlock2D",
             "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}
            """, file: "vae/config.json"
          ).object)))
    #expect(vae == AutoencoderConfig())
  }

  @Test func `clipping to nothing is refused`() {
    let file = ConfigurationFile(
      file: "scheduler_config.json",
      values: ["_class_name": "DDIMScheduler", "clip_sample": true, "clip_sample_range": 0])
    let error = #expect(throws: ModelFolderError.self) { try SchedulerConfig(file) }
    #expect(error?.description == "scheduler_config.json: `clip_sample_range`: a number above 0 was expected, not 0.0")
  }

  @Test func `UNet weights are replaced by name and shape, and the rest is shared`() throws {
    let model = try DiffusionModel(folder: Reference.tinyDiffusers)
    let bias = Tensor.full(3, [4])
    let edited = try model.replacingUNetWeights(["conv_out.bias": bias])
    #expect(edited.unetWeights["conv_out.bias"]?.values == bias.values)
    let sample = try Reference.tensor("unet.sample")
    let states = try Reference.tensor("unet.hidden")
    let before = model.unet(sample, timesteps: [1, 1], encoderHiddenStates: states)
    #expect(bits(edited.unet(sample, timesteps: [1, 1], encoderHiddenStates: states)) != bits(before))
    let unknown = #expect(throws: ModelFolderError.self) { try model.replacingUNetWeights(["conv_out.bia": bias]) }
    #expect(unknown?.description.contains("did you mean `conv_out.bias`") == true)
    let misshapen = #expect(throws: ModelFolderError.self) { try model.replacingUNetWeights(["conv_in.bias": bias]) }
    #expect(misshapen?.description.contains("[4]") == true && misshapen?.description.contains("[8]") == true)
  }

  @Test func `text encoder weights are replaced by name and shape, and written with the model`() throws {
    let model = try DiffusionModel(folder: Reference.tinyDiffusers)
    let name = model.textEncoder.tokenEmbeddingName
    let table = model.textEncoder.tokenEmbedding * 2
    let edited = try model.replacingTextEncoderWeights([name: table])
    #expect(bits(edited.textEncoder.tokenEmbedding) == bits(table))
    #expect(edited.unetWeights.byName.allSatisfy { model.unetWeights[$0.key].map(bits) == bits($0.value) })
    try withScratchFolder { folder in
      try edited.write(to: folder)
      #expect(bits(try DiffusionModel(folder: folder).textEncoder.tokenEmbedding) == bits(table))
    }
    let unknown = #expect(throws: ModelFolderError.self) {
      try model.replacingTextEncoderWeights(["final_layer_norm.weights": table])
    }
    #expect(unknown?.description.contains("the text encoder has no such weight; did you mean") == true)
    let misshapen = #expect(throws: ModelFolderError.self) {
      try model.replacingTextEncoderWeights([name: Tensor.zeros([1, 20])])
    }
    #expect(misshapen?.description.contains("[1, 20]") == true)
  }

  @Test func `new weights have the names and shapes that diffusers gives them, and come from the seed`() throws {
    let (config, weights) = try Reference.unet()
    let new = Weights(initialising: RandomStream(seed: 1, "unet"))
    _ = try UNet2DConditionModel(config, new)
    #expect(new.names == weights.names)
    #expect(new.tensors.map(\.tensor.shape) == weights.tensors.map(\.tensor.shape))
    let (clipConfig, clipWeights) = try Reference.clip()
    let newCLIP = Weights(initialising: RandomStream(seed: 1, "clip"))
    _ = try CLIPModel(clipConfig, newCLIP)
    #expect(newCLIP.names == clipWeights.names)
    let (vaeConfig, vaeWeights) = try Reference.vae()
    let newVAE = Weights(initialising: RandomStream(seed: 1, "vae"))
    _ = try AutoencoderKL(vaeConfig, newVAE)
    #expect(newVAE.names == vaeWeights.names)
    let again = Weights(initialising: RandomStream(seed: 1, "unet"))
    _ = try UNet2DConditionModel(config, again)
    #expect(new.tensors.map { bits($0.tensor) } == again.tensors.map { bits($0.tensor) })
  }
}

@Suite struct CLIPFolderTests {
  @Test func `a written CLIP folder reads back as the same model`() throws {
    let (config, weights) = try Reference.clip()
    try withScratchFolder { folder in
      try CLIPModel.write(config, weights, to: folder + "/clip")
      let copy = try CLIPModel(folder: folder + "/clip")
      #expect(copy.config == config)
      let pixels = try Reference.tensor("clip.pixels")
      #expect(bits(copy.imageFeatures(pixels)) == bits(try CLIPModel(config, weights).imageFeatures(pixels)))
    }
  }

  @Test func `a tower that the configuration describes twice and otherwise is refused by the member`() throws {
    let (config, weights) = try Reference.clip()
    try withScratchFolder { folder in
      try CLIPModel.write(config, weights, to: folder)
      let path = folder + "/config.json"
      let plain = try JSON.read(path)
      let same = try plain.setting("text_config_dict", to: #require(plain["text_config"]))
      try WholeFile.write(same.canonical(), to: path)
      #expect(try CLIPModel(folder: folder).config == config)
      try WholeFile.write(same.setting("vision_config_dict", to: ["patch_size": 1]).canonical(), to: path)
      let error = #expect(throws: ModelFolderError.self) { try CLIPModel(folder: folder) }
      #expect(error?.key == "vision_config_dict.patch_size")
      #expect(error?.message.contains("`vision_config`") == true)
    }
  }

  @Test func `a missing CLIP folder is named`() {
    let error = #expect(throws: ModelFolderError.self) { try CLIPModel(folder: "/nowhere/clip") }
    #expect(error?.description.hasPrefix("/nowhere/clip/config.json") == true)
  }
}
