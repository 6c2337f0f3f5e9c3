import Configuration
import Diffusion
import Erasure
import Foundation
import Store
import TestSupport
import Tensors
import Testing
import Workbench

@Suite("Files of edits")
struct EditFileTests {
  private let bench: SmallWorkbench

  init() throws { bench = try SmallWorkbench() }

  private func path(_ name: String) -> String { bench.folder + "/" + name }

  /// A second model whose weights are others in one bit, and its digest.
  private func otherModel() throws -> String {
    try FileManager.default.copyItem(atPath: bench.modelFolder, toPath: path("models/other"))
    let file = URL(fileURLWithPath: path("models/other/unet/diffusion_pytorch_model.safetensors"))
    var bytes = try Data(contentsOf: file)
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: file)
    return "./models/other"
  }

  private func baseDigest(_ outcome: RunOutcome) throws -> Digest {
    let text = outcome.record.stages.first { $0.name == "base" }?.details?["digest"]?.string
    return try #require(text.flatMap { Digest(hex: $0) })
  }

  /// The sentence that a run of a document ends with.
  private func refusal(_ document: JSON) throws -> String {
    let outcome = try bench.run(document)[0]
    #expect(outcome.record.status == .failed)
    return outcome.record.error ?? ""
  }

  // MARK: Weights

  @Test("weights name their base model and technique, and are refused for another base model by both digests")
  func weightsOfAnotherModel() throws {
    let first = try bench.run(with(small, "technique.config.save_path", "w.safetensors"))[0]
    let base = try baseDigest(first)
    let file = try SafetensorsFile(path("w.safetensors"))
    #expect(
      file.metadata == [
        "format": "pt", "lethe.base": base.hex, "lethe.technique": "ssd", "lethe.concepts": "[\"circle\"]",
      ])

    let other = try with(small, "base_model", .string(otherModel()))
    let sentence = try refusal(with(other, "technique.config.load_path", "w.safetensors"))
    let found = try baseDigest(bench.run(with(smallBase, "base_model", "./models/other"))[0])
    #expect(found != base)
    #expect(
      sentence == "\(path("w.safetensors")) was made by ssd from the base model \(base.short), and "
        + "\"./models/other\" is \(found.short): an edit fits no model but the one that it was made from")
  }

  @Test("an edit that another technique made, or that erases something else, is refused also where the cache has it")
  func anotherMaker() throws {
    try bench.run(with(small, "technique.config.save_path", "w.safetensors"))
    let config: JSON = ["load_path": "w.safetensors", "erase_concept": "circle"]
    let uce = try with(small, "technique", ["name": "uce", "config": config])
    #expect(try refusal(uce).contains("w.safetensors was made by ssd, and the technique is uce"))
    let loading = try with(small, "technique.config.load_path", "w.safetensors")
    let square = try with(loading, "technique.config.erase_concept", "square")
    #expect(try refusal(square).contains("w.safetensors erases \"circle\", and not \"square\""))
  }

  @Test("a file that could not be written is refused by its key before anything is computed")
  func unwritable() throws {
    try WholeFile.write("", to: path("occupied"))
    try WholeFile.makeFolder(path("taken.safetensors"))
    for (name, reason) in [("occupied/w.safetensors", "Not a directory"), ("taken.safetensors", "Is a directory")] {
      let document = try with(small, "technique.config.save_path", .string(name))
      let error = #expect(throws: ConfigurationError.self) { try bench.runner().check(bench.points(document)) }
      #expect(
        error?.description
          == "\(path("ssd.json")): technique.config.save_path: \(path(name)): cannot be written: \(reason)")
      #expect(try refusal(document) == error?.description)
    }
    #expect(try bench.store.cache.list().isEmpty)
  }

  @Test("somebody else's weights, which name no base model, are taken by names and shapes")
  func foreignWeights() throws {
    let first = try bench.run(with(small, "technique.config.save_path", "w.safetensors"))[0]
    let file = try SafetensorsFile(path("w.safetensors"))
    let tensors = try file.names.map { (name: $0, tensor: try file.tensor($0)) }
    try Safetensors.write(tensors, to: path("foreign.safetensors"))
    let loaded = try bench.run(with(small, "technique.config.load_path", "foreign.safetensors"))[0]
    #expect(loaded.output("edit") == first.output("edit"))
  }

  @Test(
    "weights in a file of PyTorch are the same edit, name their base model and load back", arguments: ["pt", "ckpt"])
  func torchFile(ending: String) throws {
    let name = "checkpoints/w.\(ending)"
    let first = try bench.run(with(small, "technique.config.save_path", .string(name)))[0]
    #expect(first.record.error == nil)
    let file = try TorchFile(path(name))
    let base = try baseDigest(first)
    #expect(
      file.metadata == [
        "lethe.base": base.hex, "lethe.technique": "ssd", "lethe.concepts": "[\"circle\"]",
      ])
    let loaded = try bench.run(with(small, "technique.config.load_path", .string(name)))[0]
    #expect(loaded.output("edit") == first.output("edit"))
    #expect(loaded.output("images") == first.output("images"))
    let other = try with(small, "base_model", .string(otherModel()))
    #expect(try refusal(with(other, "technique.config.load_path", .string(name))).contains("fits no model but the one"))
    let damaged = try Array(Data(contentsOf: URL(fileURLWithPath: path(name))).dropLast(100))
    try WholeFile.write(damaged, to: path(name))
    #expect(try refusal(with(small, "technique.config.load_path", .string(name))).contains("truncated"))
  }

  @Test("the weights of a model pruned after ESD are loaded as what was saved")
  func prunedWeights() throws {
    let config: JSON = [
      "erase_concept": "a", "train_steps": 1, "prune_ratio": 0.3, "num_inference_steps": 2, "use_fp16": false,
      "save_path": "out/pruned.safetensors",
    ]
    let saving = try with(smallBase, "technique", ["name": "post_prune", "config": config])
    let first = try bench.run(saving)[0]
    let loading: JSON = ["erase_concept": "a", "load_path": "out/pruned.safetensors"]
    let loaded = try bench.run(with(smallBase, "technique", ["name": "post_prune", "config": loading]))[0]
    #expect(loaded.computed.contains("edit") && !loaded.computed.contains("esd"))
    func changed(_ outcome: RunOutcome) -> JSON? {
      outcome.record.stages.first { $0.name == "edit" }?.details?["values_changed"]
    }
    #expect(changed(loaded)?.integer ?? 0 > 0)
    #expect(changed(loaded) == changed(first))
  }

  // MARK: Masks

  private func pesd(_ more: [String: JSON] = [:]) throws -> JSON {
    let config: [String: JSON] = [
      "erase_concept": "a", "train_steps": 3, "batch_size": 2, "learning_rate": 0.5, "train_method": "xattn",
    ]
    return try with(smallBase, "technique", ["name": "p_esd", "config": .object(config.merging(more) { $1 })])
  }

  @Test("a mask is saved with its base model and loaded in place of training, as the same edit and the same images")
  func mask() throws {
    let first = try bench.run(pesd(["save_path": "out/a.mask"]))[0]
    #expect(first.record.error == nil)
    let mask = try #require(first.output("edit.mask"))
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path("out/a.mask"))))
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
    #expect(
      try JSON.parse(Array(line), file: "a.mask") == [
        "format": "lethe mask file 1", "base": .string(baseDigest(first).hex), "technique": "p_esd",
        "concepts": ["a"],
      ])
    #expect(try Array(bytes.dropFirst(line.count + 1)) == bench.store.objects.read(mask))

    let loaded = try bench.run(pesd(["load_path": "out/a.mask"]))[0]
    #expect(loaded.computed == ["edit"])
    #expect(loaded.output("edit.mask") == mask)
    #expect(loaded.output("images") == first.output("images"))
    #expect(try bench.runner().reproduce(loaded.run).verdict == .identical)

    // The object of a store is a mask file that names no base model.
    try Data(bench.store.objects.read(mask)).write(to: URL(fileURLWithPath: path("object.mask")))
    #expect(try bench.run(pesd(["load_path": "object.mask"]))[0].output("edit.mask") == mask)

    let other = try with(pesd(["load_path": "out/a.mask"]), "base_model", .string(otherModel()))
    let sentence = try refusal(other)
    #expect(sentence.hasPrefix("\(path("out/a.mask")) was made by p_esd from the base model "))
    #expect(try sentence.contains(baseDigest(first).short))
  }

  @Test("a mask that prunes nothing is saved and loaded, too")
  func emptyMask() throws {
    let first = try bench.run(pesd(["save_path": "none.mask", "learning_rate": 1e-9]))[0]
    #expect(first.record.error == nil && first.output("edit.mask") == nil)
    let loaded = try bench.run(pesd(["load_path": "none.mask"]))[0]
    #expect(loaded.record.error == nil && loaded.output("edit.mask") == nil)
    #expect(loaded.output("images") == first.output("images"))
  }

  @Test("a file that is no mask of this model ends in one sentence that names it, and computes nothing")
  func damagedMasks() throws {
    func loading(_ bytes: [UInt8]) throws -> String {
      try Data(bytes).write(to: URL(fileURLWithPath: path("bad.mask")))
      return try refusal(pesd(["load_path": "bad.mask"]))
    }
    let file = path("bad.mask")
    #expect(try loading([]) == "\(file) is not a pruning mask")
    #expect(try loading(Array("lethe mask 1\n".utf8) + [4, 0]) == "\(file) is not a pruning mask")
    #expect(
      try loading(Array("{\"format\":\"lethe mask file 9\"}\n".utf8))
        == "\(path("ssd.json")): technique.config.load_path: \(file) is not a pruning mask: its first line names no base "
        + "model or another format")
    #expect(try loading(Array("{\"format\"\n".utf8)).contains(file))
    var mask = PruningMask()
    mask.prune([1], of: "conv_in.bias", count: 2)
    #expect(
      try loading(mask.encoded)
        == "\(file): the mask prunes 'conv_in.bias' of 2 elements, and the UNet has 8: it was made for another model")
    mask = PruningMask()
    mask.prune([1], of: "conv_on.bias", count: 8)
    #expect(try loading(mask.encoded).contains("'conv_on.bias' of 8 elements, and the UNet has no such weight"))
    #expect(try refusal(pesd(["load_path": "none.mask"])).contains("none.mask"))
    #expect(try bench.store.cache.list().isEmpty)
  }

  @Test("masks and weights are not taken for each other: the ending is refused where the setting is read")
  func endings() throws {
    let weights = #expect(throws: ConfigurationError.self) { try bench.points(pesd(["save_path": "a.safetensors"])) }
    #expect(weights?.description.contains("ending in .mask") == true)
    let document = try with(small, "technique.config.load_path", "a.mask")
    #expect(throws: ConfigurationError.self) { try bench.points(document) }
  }

  // MARK: Text encoders

  private func embedding(_ more: [String: JSON] = [:]) throws -> JSON {
    let config: [String: JSON] = [
      "erase_concept": "cat", "anchor_concept": "circle", "anchor_prompts": ["a circle"], "train_size": 2,
      "train_steps": 2, "batch_size": 1, "learning_rate": 0.05, "parameter_group": "embedding", "use_fp16": false,
    ]
    return try with(smallBase, "technique", ["name": "ac", "config": .object(config.merging(more) { $1 })])
  }

  @Test("an edit of the text encoder is kept, drawn with, exported and reproduced")
  func textEncoder() throws {
    let run = try bench.run(embedding())[0]
    #expect(run.record.error == nil)
    #expect(
      run.record.outputs.map(\.name) == ["anchor_latents", "edit", "edit.text_encoder", "images", "metric.mean_pixel"])
    let plain = try bench.run(with(smallBase, "technique.config", ["use_fp16": false]))[0]
    #expect(run.output("images") != plain.output("images"))
    #expect(run.output("edit") == plain.output("edit"))
    #expect(try bench.runner().reproduce(run.run).verdict == .identical)

    _ = try bench.runner().export(run.run, to: path("exported"))
    let (base, edited) = (try DiffusionModel(folder: bench.modelFolder), try DiffusionModel(folder: path("exported")))
    let (old, new) = (base.textEncoder.tokenEmbedding, edited.textEncoder.tokenEmbedding)
    let width = old.shape[1]
    let changed = Set(zip(old.values, new.values).enumerated().filter { $1.0 != $1.1 }.map { $0.offset / width })
    #expect(changed == Set(base.tokenizer.tokens("cat")))
    #expect(base.unetWeights.tensors.allSatisfy { edited.unetWeights[$0.name].map(bits) == bits($0.tensor) })
    let details = try #require(run.record.stages.first { $0.name == "edit" }?.details)
    let count = base.unetWeights.parameterCount + base.textWeights.parameterCount
    #expect(details["values_changed"]?.integer == changed.count * width)
    #expect(details["weights_changed"]?.number == Double(changed.count * width) / Double(count))
  }

  @Test("a file of UNet weights is refused for an edit of the text encoder, which it cannot hold")
  func textEncoderFile() throws {
    for key in ["save_path", "load_path"] {
      let error = #expect(throws: ConfigurationError.self) { try bench.points(embedding([key: "w.safetensors"])) }
      #expect(error?.description.contains("technique.config.\(key)") == true)
      #expect(error?.description.contains("lethe export writes the whole model") == true)
    }
  }

  // MARK: Purification

  @Test("purification is asked for under the concept that a run erases, and a run that erases none has no such prompt")
  func purificationPrompt() throws {
    #expect(try bench.runner().purificationPrompt(of: bench.run(small)[0].run) == "circle")
    let base = try bench.run(smallBase)[0].run
    let error = #expect(throws: ReproductionError.self) { try bench.runner().purificationPrompt(of: base) }
    #expect(error?.description == "run \(base.short) erases no concept, so --prompt has to say what the picture shows")
  }
}
