internal import Configuration
public import Diffusion
public import Tensors

/// A sparse autoencoder of one layer's activations (Gao et al., 2024, arXiv 2406.04093; for diffusion models Cywiński
/// and Deja, 2025, arXiv 2501.18052): z = TopK(ReLU(W_enc (x - b_dec) + b_enc)), x̂ = W_decᵀ z + b_dec.
public struct SparseAutoencoder {
  /// The transformer whose output it was trained on, as diffusers names it.
  public let layer: String
  /// The latents that are kept for each vector.
  public let k: Int
  /// The digest of the base model that it was trained on, where that is known.
  public let base: String?
  /// W_enc: (latents, width).
  public let encoder: Tensor
  /// b_enc: (latents).
  public let encoderBias: Tensor
  /// W_dec: (latents, width), each row of norm 1.
  public let decoder: Tensor
  /// b_dec: (width).
  public let decoderBias: Tensor

  /// What a refusal names.
  private let source: String

  /// The number of values of a vector.
  public var width: Int { decoder.shape[1] }
  /// The number of latents.
  public var latents: Int { decoder.shape[0] }

  /// - Parameters:
  ///   - tensors: by the names of ``tensors``
  ///   - source: what a refusal names
  /// - Throws: ``ErasureError`` for tensors that are missing or do not fit together.
  public init(layer: String, k: Int, base: String? = nil, tensors: [String: Tensor], source: String) throws {
    func tensor(_ name: String, _ rank: Int) throws -> Tensor {
      guard let tensor = tensors[name] else { throw ErasureError("\(source) has no tensor '\(name)'") }
      guard tensor.rank == rank else {
        throw ErasureError("\(source): '\(name)' of shape \(tensor.shape) should have \(rank) axes")
      }
      return tensor
    }
    (encoder, encoderBias) = (try tensor("encoder.weight", 2), try tensor("encoder.bias", 1))
    (decoder, decoderBias) = (try tensor("W_dec", 2), try tensor("b_dec", 1))
    (self.layer, self.k, self.base, self.source) = (layer, k, base, source)
    guard encoder.shape == decoder.shape, encoderBias.count == latents, decoderBias.count == width else {
      throw ErasureError(
        "\(source): an encoder of shape \(encoder.shape) with \(encoderBias.count) biases does not fit a decoder of "
          + "shape \(decoder.shape) with \(decoderBias.count)")
    }
    guard k > 0, k <= latents else { throw ErasureError("\(source): \(k) of \(latents) latents cannot be kept") }
  }

  /// Its tensors, by the names that published autoencoders have.
  public var tensors: [String: Tensor] {
    ["encoder.weight": encoder, "encoder.bias": encoderBias, "W_dec": decoder, "b_dec": decoderBias]
  }

  // MARK: Coding

  /// ReLU(W_enc (x - b_dec) + b_enc), of all latents.
  ///
  /// - Parameter x: (items, vectors, width)
  /// - Returns: (items, vectors, latents)
  public func activations(_ x: Tensor) -> Tensor {
    linear(x - decoderBias, weight: encoder, bias: encoderBias).relu()
  }

  /// The activations with the k largest of each vector kept and the others zero.
  public func encode(_ x: Tensor) -> Tensor {
    let activations = activations(x)
    return activations * Self.topKMask(activations, k: k)
  }

  /// - Parameter z: (items, vectors, latents)
  /// - Returns: (items, vectors, width)
  public func decode(_ z: Tensor) -> Tensor { linear(z, weight: decoder.transposedLast(), bias: decoderBias) }

  /// 1 at the k largest positive values of each vector, of equal ones at the first, and 0 elsewhere; a constant of
  /// the same shape.
  static func topKMask(_ activations: Tensor, k: Int) -> Tensor {
    mask(activations, rowLength: activations.extent(-1), count: k)
  }

  /// 1 at the k · vectors largest positive values of all vectors together (Bussmann, Leask and Nanda, 2024); a
  /// constant.
  static func batchTopKMask(_ activations: Tensor, k: Int) -> Tensor {
    mask(activations, rowLength: activations.count, count: k * (activations.count / activations.extent(-1)))
  }

  private static func mask(_ activations: Tensor, rowLength: Int, count: Int) -> Tensor {
    Tensor.make(activations.shape) { out in
      out.update(repeating: 0)
      nonisolated(unsafe) let out = out
      activations.withUnsafeValues { values in
        nonisolated(unsafe) let values = values
        parallelFor(values.count / max(rowLength, 1)) { row in
          let start = row * rowLength
          let own = UnsafeBufferPointer(rebasing: values[start..<start + rowLength])
          for position in positionsOfLargest(count, in: own) { out[start + position] = 1 }
        }
      }
    }
  }

  // MARK: Files

  private static let layerKey = "hook_layer", widthKey = "width", kKey = "k", baseKey = "base_model"

  /// Writes a safetensors file, whose metadata names layer, width, expansion factor and k, and the digest of the base
  /// model where that is known.
  ///
  /// - Throws: `SafetensorsError` where the file cannot be written.
  public func write(to path: String) throws {
    var metadata = [
      "format": "pt", Self.layerKey: layer, Self.widthKey: "\(width)", Self.kKey: "\(k)",
      "expansion_factor": "\(latents / width)",
    ]
    metadata[Self.baseKey] = base
    try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: path, metadata: metadata)
  }

  /// Reads a file as ``write(to:)`` makes it.
  ///
  /// - Throws: `SafetensorsError` for a file that is none, ``ErasureError`` for one that is no autoencoder.
  public init(loading path: String) throws {
    let file = try SafetensorsFile(path)
    guard let layer = file.metadata[Self.layerKey], let k = file.metadata[Self.kKey].flatMap(Int.init),
      let width = file.metadata[Self.widthKey].flatMap(Int.init)
    else {
      throw ErasureError(
        "\(path) is no sparse autoencoder: its metadata does not name \(Self.layerKey), \(Self.widthKey) and "
          + "\(Self.kKey)")
    }
    var tensors: [String: Tensor] = [:]
    for name in file.names { tensors[name] = try file.tensor(name) }
    try self.init(layer: layer, k: k, base: file.metadata[Self.baseKey], tensors: tensors, source: path)
    guard self.width == width else {
      throw ErasureError("\(path): its metadata names a width of \(width), and its tensors have \(self.width)")
    }
  }

  // MARK: Layers

  /// The transformers of a UNet and the widths of their outputs, by name.
  public static func layers(of weights: Weights) -> [String: Int] {
    let suffix = ".proj_out.weight"
    let found = weights.tensors.filter { $0.name.hasSuffix(suffix) }
    return Dictionary(
      found.map { (String($0.name.dropLast(suffix.count)), $0.tensor.shape[0]) }, uniquingKeysWith: { $1 })
  }

  /// The width of a layer.
  ///
  /// - Throws: ``ErasureError`` for a layer that the UNet does not have, with the name that may be meant.
  public static func width(of layer: String, in weights: Weights) throws -> Int {
    let layers = layers(of: weights)
    guard let width = layers[layer] else {
      throw ErasureError("the UNet has no transformer '\(layer)'\(suggestion(for: layer, among: layers.keys.sorted()))")
    }
    return width
  }

  /// Refuses a layer that this autoencoder is not for.
  ///
  /// - Parameter digest: that of the base model; nil where it is not known, and then any is accepted
  /// - Throws: ``ErasureError`` that names the file with both layers, both widths, or both digests.
  public func check(fits layer: String, of model: DiffusionModel, digest: String? = nil) throws {
    let width = try Self.width(of: layer, in: model.unetWeights)
    guard self.layer == layer else {
      throw ErasureError("\(source) is an autoencoder of the layer '\(self.layer)', and hookpoint is '\(layer)'")
    }
    guard self.width == width else {
      throw ErasureError(
        "\(source) is an autoencoder for vectors of width \(self.width), and the layer '\(layer)' of this UNet has the "
          + "width \(width): it was trained on another model")
    }
    if let base, let digest, base != digest {
      throw ErasureError(
        "\(source) was trained on the base model sha256:\(base.prefix(12)), and this one is "
          + "sha256:\(digest.prefix(12))")
    }
  }
}
