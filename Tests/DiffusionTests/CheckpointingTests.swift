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

  @Test("by default it takes maps of 80,000 values and more, on the way down alone")
  func sizes() {
    #expect(!Checkpointing.wayDown.takes(79_999, onWayUp: false) && Checkpointing.wayDown.takes(80_000, onWayUp: false))
    #expect(!Checkpointing.wayDown.takes(1 << 40, onWayUp: true))
    #expect(Checkpointing.always.takes(1, onWayUp: true) && !Checkpointing.never.takes(1 << 40, onWayUp: false))
  }
}
