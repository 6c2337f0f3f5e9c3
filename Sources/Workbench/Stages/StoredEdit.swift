internal import Configuration
internal import Diffusion
internal import Erasure
internal import Store
internal import Tensors

/// An edit as the store keeps it: each part an object of its own, and those that are empty left out.
struct StoredEdit {
  /// The set of the UNet's tensors that are replaced.
  let tensors: Digest
  /// The set of the text encoder's tensors that are replaced.
  let textEncoder: Digest?
  /// The encoded pruning mask.
  let mask: Digest?
  /// The set of tensors that drawing needs besides.
  let inference: Digest?

  /// The parts that the outputs of a run or of a cache entry name.
  ///
  /// - Parameter output: the digest of `edit`, `edit.text_encoder`, `edit.mask` or `edit.inference`
  init?(_ output: (String) -> Digest?) {
    guard let tensors = output("edit") else { return nil }
    self.tensors = tensors
    textEncoder = output("edit.text_encoder")
    mask = output("edit.mask")
    inference = output("edit.inference")
  }

  /// The names and digests of the parts that there are, as a run's record lists them.
  var outputs: [(name: String, digest: Digest)] {
    let parts = [
      ("edit", tensors), ("edit.text_encoder", textEncoder), ("edit.mask", mask), ("edit.inference", inference),
    ]
    return parts.compactMap { name, digest in digest.map { (name, $0) } }
  }

  /// The digest of the set of no tensors: what an edit that changes nothing replaces.
  static let none = TensorSet().digest

  /// The edit that changes nothing.
  static let unedited = StoredEdit { $0 == "edit" ? none : nil }

  /// Keeps an edit and says what keeps it, by the names of ``outputs``.
  static func keep(_ edit: ModelEdit, in objects: ObjectStore) throws -> [String: Digest] {
    let batch = ObjectBatch(objects)
    var outputs = [
      "edit": try TensorSet.add(edit.replacedUNetTensors, in: batch),
      "details": try batch.add(Array(edit.details.canonical().utf8)),
    ]
    if !edit.replacedTextEncoderTensors.isEmpty {
      outputs["edit.text_encoder"] = try TensorSet.add(edit.replacedTextEncoderTensors, in: batch)
    }
    if !edit.pruned.isEmpty { outputs["edit.mask"] = try batch.add(edit.pruned.encoded) }
    if !edit.inferenceTensors.isEmpty {
      outputs["edit.inference"] = try TensorSet.add(edit.inferenceTensors, in: batch)
    }
    try batch.commit()
    return outputs
  }

  /// The bytes that the store keeps of this edit, whatever it shares them with.
  ///
  /// - Throws: `StoreError` for a part that is missing or damaged.
  func bytes(in objects: ObjectStore) throws(StoreError) -> Int {
    var digests = Set(outputs.map(\.digest))
    for set in [tensors, textEncoder, inference].compactMap(\.self) {
      digests.formUnion(try TensorSet(set, from: objects).entries.values.map(\.digest))
    }
    return digests.reduce(0) { $0 + (objects.size(of: $1) ?? 0) }
  }

  /// The edit without its details.
  ///
  /// - Throws: `StoreError` for a part that is missing or damaged.
  func edit(from objects: ObjectStore) throws -> ModelEdit {
    var edit = ModelEdit(replacedUNetTensors: try TensorSet.tensors(tensors, from: objects))
    if let textEncoder { edit.replacedTextEncoderTensors = try TensorSet.tensors(textEncoder, from: objects) }
    if let mask {
      edit.pruned = try PruningMask(decoding: objects.read(mask), source: "object \(mask)")
    }
    if let inference { edit.inferenceTensors = try TensorSet.tensors(inference, from: objects) }
    return edit
  }

  /// The base model with this edit, ready to draw.
  ///
  /// - Throws: `StoreError` for a part that is missing or damaged, and what the edit is refused for.
  func model(
    _ base: DiffusionModel, _ technique: any Technique, from objects: ObjectStore
  ) throws -> DiffusionModel {
    let edit = try edit(from: objects)
    var model = try edit.applied(to: base)
    if technique.changesDrawing {
      model.intervention = try technique.intervention(model, tensors: edit.inferenceTensors)
    }
    return model
  }
}
