import Diffusion
import TestSupport
import Tensors
import Testing

/// The setting is one of the process, so that who changes it has a process of its own.
@Suite("Gradient checkpointing")
struct CheckpointingTests {
  private static func gradients(_ checkpointing: Checkpointing) throws -> [[UInt32]] {
    Checkpointing.current = checkpointing
    let (config, weights) = try Reference.unet()
    let states = try Reference.tensor("text.hidden").slice(axis: 0, 0..<2)
    let stream = RandomStream(seed: 4, "checkpointing")
    let tape = Tape()
    let tracked = weights.tracked(on: tape)
    let latents = tape.watch(stream.substream("latents").normal([2, 4, 8, 8]))
    let text = tape.watch(states)
    let predicted = try UNet2DConditionModel(config, tracked)(latents, timesteps: [441, 20], encoderHiddenStates: text)
    let loss = mseLoss(predicted, stream.substream("noise").normal([2, 4, 8, 8]))
    let wanted = [latents, text] + tracked.tensors.map(\.tensor)
    return ([loss.detached] + tape.gradients(of: loss, for: wanted)).map(bits)
  }

  @Test("loss and gradients of a UNet have the same bits with checkpoints everywhere as with none")
  func unet() async {
    await #expect(processExitsWith: .success) {
      let without = try Self.gradients(.never)
      let with = try Self.gradients(.always)
      #expect(with == without)
    }
  }

  @Test("by default it takes maps of 80,000 values and more, but for those of the way up")
  func sizes() {
    #expect(!Checkpointing.wayDown.takes(79_999, onWayUp: false) && Checkpointing.wayDown.takes(80_000, onWayUp: false))
    #expect(!Checkpointing.wayDown.takes(1 << 40, onWayUp: true))
    #expect(Checkpointing.always.takes(1, onWayUp: true) && !Checkpointing.never.takes(1 << 40, onWayUp: false))
  }

  /// A UNet of one level, so that all its maps are of one size.
  private static func config() -> UNetConfig {
    var config = UNetConfig()
    (config.downBlocks, config.upBlocks) = ([.crossAttention], [.crossAttention])
    (config.blockChannels, config.heads) = ([64], [2])
    (config.layersPerBlock, config.transformerLayers) = ([1], [1])
    config.crossAttentionSize = 16
    return config
  }

  /// A bias in each block that can be a checkpoint, and a weight behind it whose gradient has a factor that the bias is
  /// a term of.
  private static let witnesses = [
    "conv1.bias": "conv2.weight", "norm.bias": "proj_in.weight", "norm1.bias": "attn1.to_q.weight",
    "norm2.bias": "attn2.to_q.weight", "norm3.bias": "ff.net.0.proj.weight",
  ]

  /// The gradients of all witnesses by their biases, where some of these are changed between the way forward and the
  /// way back: only what is computed a second time knows of it.
  ///
  /// - Parameter size: height and width of the latents
  private static func gradients(size: Int, changing isChanged: (String) -> Bool) throws -> [String: [UInt32]] {
    let (config, weights) = (config(), Weights(initialising: RandomStream(seed: 5, "weights")))
    _ = try UNet2DConditionModel(config, weights)
    // An optimiser changes its values in place.
    let values = AdamOptimizer(weights.tensors)
    let tape = Tape()
    let tracked = values.parameters.reduce(into: [String: Tensor]()) { $0[$1.name] = tape.watch($1.tensor) }
    let unet = try UNet2DConditionModel(config, Weights(tracked, source: "a new model"))
    let latents = RandomStream(seed: 5, "latents").normal([1, 4, size, size])
    let text = RandomStream(seed: 5, "text").normal([1, 3, config.crossAttentionSize])
    let loss = unet(latents, timesteps: [441], encoderHiddenStates: text).square().mean()

    let pairs = weights.names.compactMap { name -> (bias: String, weight: Tensor)? in
      let parts = name.split(separator: ".")
      guard let weight = witnesses[parts.suffix(2).joined(separator: ".")] else { return nil }
      return tracked[(parts.dropLast(2) + [Substring(weight)]).joined(separator: ".")].map { (name, $0) }
    }
    let changed = Set(pairs.map(\.bias).filter(isChanged))
    var names = values.names[...]
    values.project { value in
      if changed.contains(names.removeFirst()) { value[0] += 1 }
    }
    let gradients = tape.gradients(of: loss, for: pairs.map(\.weight)).map(bits)
    return Dictionary(uniqueKeysWithValues: zip(pairs.map(\.bias), gradients))
  }

  /// The blocks that are computed a second time, and all blocks, each by the name of its bias.
  private static func blocks(size: Int) throws -> (repeated: [String], all: [String]) {
    let kept = try gradients(size: size) { _ in false }
    let all = kept.keys.sorted()
    return (try all.filter { bias in try gradients(size: size) { $0 == bias }[bias] != kept[bias] }, all)
  }

  /// Whether no block is computed a second time.
  private static func keepsAll(size: Int) throws -> Bool {
    try gradients(size: size) { _ in true } == gradients(size: size) { _ in false }
  }

  @Test("by default the way back computes the large blocks of the way down and of the middle again, and no others")
  func wayDown() throws {
    #expect(Checkpointing.current == .wayDown)
    let (repeated, all) = try Self.blocks(size: 36)
    // A ResNet block is one, and of a transformer its first layers and three parts of each of its blocks.
    #expect(all.count { $0.hasPrefix("down_blocks.") } == 5)
    #expect(all.count { $0.hasPrefix("mid_block.") } == 6)
    #expect(all.count { $0.hasPrefix("up_blocks.") } == 10)
    #expect(repeated == all.filter { !$0.hasPrefix("up_blocks.") })
    #expect(try Self.keepsAll(size: 35))
  }

  @Test("with checkpoints everywhere it computes all blocks again, and with none no block")
  func extremes() async {
    await #expect(processExitsWith: .success) {
      Checkpointing.current = .always
      let (repeated, all) = try Self.blocks(size: 8)
      #expect(repeated == all && all.count == 21)
      Checkpointing.current = .never
      #expect(try Self.keepsAll(size: 36))
    }
  }
}
