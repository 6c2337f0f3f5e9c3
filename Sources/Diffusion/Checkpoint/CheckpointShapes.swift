internal import Tensors

/// The architecture that the shapes of a checkpoint's weights tell.
///
/// What shapes cannot tell is the same in every model of the family: 32 groups in norms, heads of 64 channels but for
/// Stable Diffusion 1's UNet, which has eight of them on every level.
struct CheckpointShapes {
  private let shapes: [String: [Int]]
  private let unread: [String: UnreadTensor]
  private let path: String
  /// Whether the text encoder has the names of OpenCLIP, as Stable Diffusion 2 has it.
  let isOpenCLIP: Bool

  private static let headSize = 64

  init(_ file: TensorFile) throws {
    path = file.path
    unread = file.unread
    shapes = try file.names.reduce(into: file.unread.mapValues(\.shape)) { $0[$1] = try file.shape(of: $1) }
    isOpenCLIP = shapes[Checkpoint.text + "model.token_embedding.weight"] != nil
  }

  /// Whether the model is of Stable Diffusion 2's architecture.
  var isSecond: Bool { isOpenCLIP || (try? unetTextWidth()) == 1024 }

  /// - Throws: ``ModelFolderError`` for a weight that is missing, has another rank, or belongs to another model.
  func unet() throws -> UNetConfig {
    let prefix = Checkpoint.unet
    var config = UNetConfig()
    let blocks = try count(prefix + "input_blocks.")
    // Block 0 is the first convolution, and the last block of a level but the coarsest its downsampler.
    let perLevel = (1..<max(blocks, 2)).first { shapes[prefix + "input_blocks.\($0).0.op.weight"] != nil } ?? blocks
    guard perLevel > 1, blocks % perLevel == 0 else {
      throw refuse("input_blocks", "\(blocks) blocks cannot be cut into levels of \(perLevel)")
    }
    let levels = blocks / perLevel
    let firsts = (0..<levels).map { prefix + "input_blocks.\(1 + $0 * perLevel)" }
    let ups = (0..<levels).map { prefix + "output_blocks.\($0 * perLevel)" }
    config.blockChannels = try firsts.map { try extent($0 + ".0.out_layers.3.weight", 0, of: 4) }
    config.layersPerBlock = Array(repeating: perLevel - 1, count: levels)
    config.downBlocks = firsts.map { hasTransformer($0 + ".1") ? .crossAttention : .plain }
    config.upBlocks = ups.map { hasTransformer($0 + ".1") ? .crossAttention : .plain }
    config.midBlock = hasTransformer(prefix + "middle_block.1") ? .crossAttention : .plain
    let deepest = transformerLayers(prefix + "middle_block.1")
    config.transformerLayers = firsts.map { max(transformerLayers($0 + ".1"), 1) }
    if let last = config.transformerLayers.indices.last, config.downBlocks[last] == .plain {
      config.transformerLayers[last] = max(deepest, 1)
    }
    config.inChannels = try extent(prefix + "input_blocks.0.0.weight", 1, of: 4)
    config.outChannels = try extent(prefix + "out.2.weight", 0, of: 4)
    guard config.inChannels == config.outChannels else {
      throw ModelFolderError(
        file: path,
        "is a model that sees \(config.inChannels) channels and predicts \(config.outChannels), for inpainting, depth "
          + "or edits by instruction; \(ModelFamily.opened)")
    }
    config.crossAttentionSize = try unetTextWidth()
    config.useLinearProjection =
      shapes.first { $0.key.hasPrefix(prefix) && $0.key.hasSuffix(".proj_in.weight") }?.value.count == 2
    let time = try extent(prefix + "time_embed.0.weight", 0, of: 2)
    config.timeEmbeddingSize = time == 4 * config.blockChannels[0] ? nil : time
    // The first version has eight heads at every level, the second heads of one size.
    config.heads = config.blockChannels.map { isSecond ? max($0 / Self.headSize, 1) : 8 }
    return config
  }

  func autoencoder() throws -> AutoencoderConfig {
    let prefix = Checkpoint.autoencoder
    var config = AutoencoderConfig()
    let levels = try count(prefix + "encoder.down.")
    config.layersPerBlock = try count(prefix + "encoder.down.0.block.")
    config.blockChannels = try (0..<levels).map {
      try extent(prefix + "encoder.down.\($0).block.0.conv1.weight", 0, of: 4)
    }
    config.inChannels = try extent(prefix + "encoder.conv_in.weight", 1, of: 4)
    config.outChannels = try extent(prefix + "decoder.conv_out.weight", 0, of: 4)
    config.latentChannels = try extent(prefix + "decoder.conv_in.weight", 1, of: 4)
    config.usesQuantConv = shapes[prefix + "quant_conv.weight"] != nil
    config.usesPostQuantConv = shapes[prefix + "post_quant_conv.weight"] != nil
    config.midBlockAttention = shapes[prefix + "encoder.mid.attn_1.q.weight"] != nil
    return config
  }

  func textEncoder() throws -> CLIPTextConfig {
    let names: (tokens: String, positions: String, layers: String, expand: String)
    if isOpenCLIP {
      let prefix = Checkpoint.text + "model."
      names = (
        prefix + "token_embedding.weight", prefix + "positional_embedding", prefix + "transformer.resblocks.",
        "0.mlp.c_fc.weight"
      )
    } else {
      let whole = Checkpoint.text + "transformer."
      let prefix = shapes.keys.contains { $0.hasPrefix(whole + "text_model.") } ? whole + "text_model." : whole
      names = (
        prefix + "embeddings.token_embedding.weight", prefix + "embeddings.position_embedding.weight",
        prefix + "encoder.layers.", "0.mlp.fc1.weight"
      )
    }
    let width = try extent(names.tokens, 1, of: 2)
    // Stable Diffusion 2 is conditioned on the last layer but one, so the last one is no part of the model.
    let layers = try count(names.layers) - (isOpenCLIP ? 1 : 0)
    guard layers > 0 else { throw refuse(names.layers, "a text encoder of a single layer has none to be read") }
    var tower = CLIPTowerConfig(
      hiddenSize: width, intermediateSize: try extent(names.layers + names.expand, 0, of: 2), layers: layers,
      heads: max(width / Self.headSize, 1), projectionSize: width)
    tower.activation = isSecond ? .gelu : .quickGELU
    let vocabulary = try extent(names.tokens, 0, of: 2)
    return CLIPTextConfig(
      tower: tower, vocabularySize: vocabulary, maxPositions: try extent(names.positions, 0, of: 2),
      beginToken: vocabulary - 2,
      endToken: vocabulary - 1, padToken: 1)
  }

  private func unetTextWidth() throws -> Int {
    let ending = "attn2.to_k.weight"
    guard let name = shapes.keys.filter({ $0.hasPrefix(Checkpoint.unet) && $0.hasSuffix(ending) }).min() else {
      throw ModelFolderError(file: path, "its UNet attends to no text: no weight ends in \(ending)")
    }
    return try extent(name, 1, of: 2)
  }

  private func hasTransformer(_ scope: String) -> Bool { transformerLayers(scope) > 0 }

  private func transformerLayers(_ scope: String) -> Int {
    (try? count(scope + ".transformer_blocks.")) ?? 0
  }

  /// How many numbers follow a prefix, counted from 0.
  private func count(_ prefix: String) throws -> Int {
    var count = 0
    let numbers = Set(
      shapes.keys.filter { $0.hasPrefix(prefix) }.compactMap { Int($0.dropFirst(prefix.count).prefix { $0 != "." }) })
    while numbers.contains(count) { count += 1 }
    guard count > 0 else { throw refuse(prefix + "0", "there is no such weight in this file") }
    return count
  }

  private func extent(_ name: String, _ axis: Int, of rank: Int) throws -> Int {
    if let tensor = unread[name] { throw refuse(name, tensor.problem) }
    guard let shape = shapes[name] else { throw refuse(name, "there is no such weight in this file") }
    guard shape.count == rank, shape[axis] > 0 else {
      throw refuse(name, "has the shape \(shape), where \(rank) axes were expected")
    }
    return shape[axis]
  }

  private func refuse(_ name: String, _ message: String) -> ModelFolderError {
    ModelFolderError(file: path, key: name, message)
  }
}
