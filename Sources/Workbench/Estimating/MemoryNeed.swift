internal import Diffusion

/// The memory that a stage takes, by how much it holds at a time.
struct MemoryNeed {
  enum Work {
    /// Draws, so many images at a time where nothing bounds them.
    case drawing(images: Int, bytes: (_ images: Int) -> Int)
    /// Goes back through the UNet, with gradients of so many samples at a time where nothing bounds them.
    case gradients(samples: Int, bytes: (_ samples: Int, Checkpointing) -> Int)
    /// Takes what it takes.
    case fixed(bytes: Int)
  }

  var stage: String
  let work: Work

  init(_ stage: String, _ work: Work) { (self.stage, self.work) = (stage, work) }
}

/// What bounds the memory of all work in a process, and changes no result.
struct MemoryChoices {
  var images = MemoryLimits.images
  var samples = MemoryLimits.gradients
  var checkpointing = Checkpointing.current

  /// Bytes with these choices.
  func bytes(_ need: MemoryNeed) -> Int {
    switch need.work {
    case .drawing(let images, let bytes): bytes(min(images, self.images))
    case .gradients(let samples, let bytes): bytes(min(samples, self.samples), checkpointing)
    case .fixed(let bytes): bytes
    }
  }

  /// Chooses until a need fits, and nothing where it fits already: first checkpoints on the way back, then fewer
  /// samples or images at a time.
  mutating func tighten(for need: MemoryNeed, within limit: Int) {
    guard bytes(need) > limit else { return }
    switch need.work {
    case .drawing(let all, _):
      images = min(images, all)
      while images > 1, bytes(need) > limit { images /= 2 }
    case .gradients(let all, _):
      samples = min(samples, all)
      // Of maps that are small beside the weights a repeated block may take more than what it saves.
      var always = self
      always.checkpointing = .always
      if always.bytes(need) < bytes(need) { self = always }
      while samples > 1, bytes(need) > limit { samples -= 1 }
    case .fixed: break
    }
  }

  /// Has this process keep to them.
  func apply() {
    MemoryLimits.images = images
    MemoryLimits.gradients = samples
    Checkpointing.current = checkpointing
  }
}
