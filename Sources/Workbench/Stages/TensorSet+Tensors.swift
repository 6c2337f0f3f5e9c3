internal import Store
internal import Tensors

extension TensorSet {
  /// Adds tensors to the store, each an object, and the set that names them.
  /// - Returns: the digest of the set; it can be read once `batch` is committed.
  static func add(_ tensors: [String: Tensor], in batch: ObjectBatch) throws -> Digest {
    var set = TensorSet()
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      try tensor.withUnsafeValues { try set.set(name, shape: tensor.shape, values: $0, in: batch) }
    }
    return try set.write(in: batch)
  }

  /// Keeps tensors in the store.
  /// - Returns: the digest of the set that names them, which is safe on the disk.
  static func keep(_ tensors: [String: Tensor], in objects: ObjectStore) throws -> Digest {
    let batch = ObjectBatch(objects)
    let digest = try add(tensors, in: batch)
    try batch.commit()
    return digest
  }

  /// All tensors of a set, each checked against its digest.
  static func tensors(_ digest: Digest, from objects: ObjectStore) throws -> [String: Tensor] {
    let set = try TensorSet(digest, from: objects)
    var tensors: [String: Tensor] = [:]
    for name in set.names {
      guard let shape = set.entries[name]?.shape else { continue }
      tensors[name] = try set.withValues(name, from: objects) { values in
        Tensor.make(shape) { target in
          if let from = values.baseAddress { target.baseAddress?.update(from: from, count: values.count) }
        }
      }
    }
    return tensors
  }
}
