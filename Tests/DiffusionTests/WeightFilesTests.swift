import Configuration
import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing

/// Weights are read from whatever files a folder has them in.
@Suite struct WeightFilesTests {
  private typealias Named = [(name: String, tensor: Tensor)]

  /// The weights of a part, and its folder without their file.
  private func taken(_ part: String, of folder: String) throws -> (place: String, tensors: Named) {
    let name = part == "text_encoder" ? "model" : "diffusion_pytorch_model"
    let path = "\(folder)/\(part)/\(name).safetensors"
    let tensors = try Reference.weights(path).tensors
    try FileManager.default.removeItem(atPath: path)
    return ("\(folder)/\(part)", tensors)
  }

  private func expectSame(_ model: DiffusionModel, half: Bool = false) throws {
    let plain = try DiffusionModel(folder: Reference.tinyDiffusers)
    let expected = half ? try plain.roundedToHalf() : plain
    for (name, tensor) in expected.unetWeights.tensors {
      #expect(model.unetWeights[name].map(bits) == bits(tensor), "\(name)")
    }
  }

  @Test(arguments: ["diffusion_pytorch_model.bin", "pytorch_model.bin"])
  func `PyTorch's own files are read`(name: String) throws {
    try withModelFolder { folder in
      let (place, tensors) = try taken("unet", of: folder)
      try TorchFile.write(tensors, to: "\(place)/\(name)")
      let (text, weights) = try taken("text_encoder", of: folder)
      try TorchFile.write(weights, to: "\(text)/pytorch_model.bin")
      let model = try DiffusionModel(folder: folder)
      try expectSame(model)
      #expect(model.weightFiles.prefix(2) == ["\(text)/pytorch_model.bin", "\(place)/\(name)"])
    }
  }

  @Test func `the plain file is chosen before its variant, and the variant where it is alone`() throws {
    try withModelFolder { folder in
      let place = "\(folder)/unet/diffusion_pytorch_model"
      let tensors = try Reference.weights("\(place).safetensors").tensors
      try Safetensors.write(tensors, to: "\(place).fp16.safetensors", half: true)
      let both = try DiffusionModel(folder: folder)
      try expectSame(both)
      #expect(both.weightFiles[1] == "\(place).safetensors")
      try FileManager.default.removeItem(atPath: "\(place).safetensors")
      let variant = try DiffusionModel(folder: folder)
      try expectSame(variant, half: true)
      #expect(variant.weightFiles[1] == "\(place).fp16.safetensors")
    }
  }

  @Test(arguments: [
    ("safetensors", "diffusion_pytorch_model.safetensors.index.json"),
    ("bin", "diffusion_pytorch_model.bin.index.json"),
    ("safetensors", "diffusion_pytorch_model.safetensors.index.fp16.json"),
  ])
  func `weights in several pieces are read by their index, and what is wrong with it is named`(
    ending: String, name: String
  ) throws {
    try withModelFolder { folder in
      let (place, tensors) = try taken("unet", of: folder)
      let half = tensors.count / 2
      var map: [String: JSON] = [:]
      for (number, piece) in [tensors[..<half], tensors[half...]].enumerated() {
        let file = "piece-\(number + 1).\(ending)"
        for (name, _) in piece { map[name] = .string(file) }
        if ending == "bin" {
          try TorchFile.write(Array(piece), to: "\(place)/\(file)")
        } else {
          try Safetensors.write(Array(piece), to: "\(place)/\(file)")
        }
      }
      let index = "\(place)/\(name)"
      func write(_ map: [String: JSON]) throws {
        let json: JSON = ["metadata": ["total_size": 1], "weight_map": .object(map)]
        try WholeFile.write(json.canonical(), to: index)
      }
      try write(map)
      let model = try DiffusionModel(folder: folder)
      try expectSame(model)
      #expect(model.weightFiles[1] == index)
      #expect(try ModelFiles.list(of: folder).contains("unet/piece-2.\(ending)"))

      try write(map.merging(["conv_in.bias": .string("../piece-1.\(ending)")]) { $1 })
      #expect(refusal(folder).contains("`weight_map.conv_in.bias`") && refusal(folder).hasPrefix(index))
      try write(map.merging(["conv_in.bais": .string("piece-1.\(ending)")]) { $1 })
      #expect(refusal(folder).hasPrefix("\(index): `conv_in.bais`: this weight is not in \(place)/piece-1"))
      try write(map)
      try FileManager.default.removeItem(atPath: "\(place)/piece-2.\(ending)")
      #expect(refusal(folder) == "\(place)/piece-2.\(ending): this piece is missing, and the index names it")
    }
  }

  @Test func `weights that are missing, too many and of other shapes are listed, ten of each and their count`() throws {
    try withModelFolder { folder in
      let path = "\(folder)/unet/diffusion_pytorch_model.safetensors"
      let tensors = try Reference.weights(path).tensors
      let changed = tensors.map { name, tensor in
        (name.hasSuffix(".norm1.weight") ? name + "s" : name, name == "conv_out.bias" ? Tensor.zeros([5]) : tensor)
      }
      try Safetensors.write(changed, to: path)
      let count = tensors.count { $0.name.hasSuffix(".norm1.weight") }
      try #require(count > 10)
      let sentence = refusal(folder)
      #expect(sentence.hasPrefix("\(path): is without \(count) weights that the configuration asks for: 'down_blocks"))
      #expect(sentence.contains(" and \(count - 10) more; it has \(count) weights that the configuration does not"))
      #expect(sentence.contains("; it has 1 weight of another shape: 'conv_out.bias' has [5], the configuration asks"))
      #expect(sentence.count { $0 == "'" } == 2 * 21)
    }
  }

  private static let notRead = "has the data type I32, which Lethe does not read as weights; it reads F32, F16, BF16"
    + " and F64"

  @Test func `weights of integers are told by their data type and not as missing`() throws {
    try withModelFolder { folder in
      let path = "\(folder)/unet/diffusion_pytorch_model.safetensors"
      try makeIntegers(of: ["conv_in.weight"], in: path)
      #expect(refusal(folder) == "\(path): `conv_in.weight`: \(Self.notRead)")
      try makeIntegers(of: ["conv_in.bias", "conv_out.weight"], in: path)
      let sentence = refusal(folder)
      #expect(sentence.hasSuffix("\(Self.notRead); 2 more weights are like it"), "\(sentence)")
      // The part alone says it too.
      let error = #expect(throws: WeightsError.self) { try UNet2DConditionModel.read(folder: folder) }
      #expect(error?.description == "\(path): 'conv_in.weight' \(Self.notRead)")
    }
  }

  @Test func `a text encoder without a prefix is told by its data type where all its weights are integers`() throws {
    try withModelFolder { folder in
      let path = "\(folder)/text_encoder/model.safetensors"
      let names = try Reference.weights(path).names
      try #require(names.contains("embeddings.token_embedding.weight"))
      try makeIntegers(of: names, in: path)
      let others = "\(names.count - 1) more weights are like it"
      #expect(refusal(folder) == "\(path): `embeddings.token_embedding.weight`: \(Self.notRead); \(others)")
    }
  }

  @Test func `of weights in several pieces the piece is named that has the integers`() throws {
    try withModelFolder { folder in
      let (place, tensors) = try taken("vae", of: folder)
      try Safetensors.write(tensors, to: "\(place)/piece.safetensors")
      let map = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, JSON.string("piece.safetensors")) })
      let index: JSON = ["weight_map": .object(map)]
      try WholeFile.write(index.canonical(), to: "\(place)/diffusion_pytorch_model.safetensors.index.json")
      try makeIntegers(of: ["quant_conv.bias"], in: "\(place)/piece.safetensors")
      #expect(refusal(folder) == "\(place)/piece.safetensors: `quant_conv.bias`: \(Self.notRead)")
    }
  }

  @Test func `a value that is not a number is refused by its tensor and file`() throws {
    try withModelFolder { folder in
      let (place, tensors) = try taken("vae", of: folder)
      let path = "\(place)/diffusion_pytorch_model.safetensors"
      let nan = tensors.map { ($0.name, $0.name == "quant_conv.bias" ? $0.tensor * .nan : $0.tensor) }
      try Safetensors.write(nan, to: path)
      #expect(refusal(folder) == "\(path): 'quant_conv.bias' has values that are infinite or not a number")
    }
  }

  @Test(arguments: ["unet/config.json", "vae/diffusion_pytorch_model.safetensors", "tokenizer/vocab.json"])
  func `a model whose files were written to after it was read says so`(name: String) throws {
    try withModelFolder { folder in
      let model = try DiffusionModel(folder: folder)
      try model.confirmUnchanged()
      try model.roundedToHalf().confirmUnchanged()
      let bytes = try [UInt8](Data(contentsOf: URL(filePath: "\(folder)/\(name)")))
      try WholeFile.write(bytes, to: "\(folder)/\(name)")
      let error = #expect(throws: ModelFolderError.self) { try model.confirmUnchanged() }
      #expect(error?.description == "\(folder)/\(name): changed while the model was being read")
    }
  }

  @Test func `heads are read from either key`() throws {
    func heads(_ values: [String: JSON]) throws -> [Int] {
      let size: [String: JSON] = ["sample_size": 8, "block_out_channels": [320, 640, 1280, 1280]]
      return try UNetConfig(ConfigurationFile(file: "config.json", values: size.merging(values) { $1 })).heads
    }
    #expect(try heads(["attention_head_dim": 8]) == [8, 8, 8, 8])
    #expect(try heads(["attention_head_dim": [5, 10, 20, 20], "num_attention_heads": nil]) == [5, 10, 20, 20])
    #expect(try heads(["attention_head_dim": 64, "num_attention_heads": [5, 10, 20, 20]]) == [5, 10, 20, 20])
    let error = #expect(throws: ModelFolderError.self) { try heads(["num_attention_heads": 7]) }
    #expect(error?.key == "num_attention_heads")
  }

  @Test(arguments: [
    ("StableDiffusionXLPipeline", "a Stable Diffusion XL model"), ("FluxPipeline", "a Flux model"),
    ("StableDiffusion3Pipeline", "a Stable Diffusion 3 model"),
    ("StableDiffusionInpaintPipeline", "a Stable Diffusion model for inpainting"),
  ])
  func `a folder of another family is refused by its name`(pipeline: String, family: String) throws {
    try withModelFolder { folder in
      let index = folder + "/model_index.json"
      try WholeFile.write(JSON.read(index).setting("_class_name", to: .string(pipeline)).canonical(), to: index)
      #expect(
        refusal(folder)
          == "\(index): `_class_name`: \"\(pipeline)\" is \(family); Lethe opens Stable Diffusion 1 and 2")
    }
  }

  @Test func `the pointer of git-lfs, a pipe and a file that is no model are told apart from weights`() throws {
    try withModelFolder { folder in
      let weights = "\(folder)/unet/diffusion_pytorch_model.safetensors"
      try FileManager.default.removeItem(atPath: weights)
      try Data("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 17150496\n".utf8)
        .write(to: URL(fileURLWithPath: weights))
      #expect(refusal(folder).contains("unet/diffusion_pytorch_model.safetensors: is only the pointer that git-lfs"))
      try FileManager.default.removeItem(atPath: weights)
      #expect(mkfifo(weights, 0o600) == 0)
      #expect(refusal(folder).hasSuffix("unet/diffusion_pytorch_model.safetensors: is not a file"))
      #expect(refusal("\(folder)/model_index.json").contains("model_index.json: is no model: neither a folder"))
    }
  }
}
