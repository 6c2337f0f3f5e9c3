/// How often the parts of a model are run, which is where nearly all time goes: what says beforehand how long a piece
/// of work will take. No result depends on it.
public struct ModelWork: Equatable, Sendable {
  /// Passes of one latent under one text forward through the UNet.
  public var forwards: Double
  /// The same forward and backward, with the gradients of the UNet's weights.
  public var gradients: Double
  /// Latents that the autoencoder decodes.
  public var decodings: Double
  /// Texts that the text encoder reads.
  public var encodings: Double
  /// Pictures that a judge looks at.
  public var judgements: Double

  public init(
    forwards: Double = 0, gradients: Double = 0, decodings: Double = 0, encodings: Double = 0, judgements: Double = 0
  ) {
    self.forwards = forwards
    self.gradients = gradients
    self.decodings = decodings
    self.encodings = encodings
    self.judgements = judgements
  }

  /// Nothing that takes time beside all else.
  public static let nothing = ModelWork()

  /// Passes through the UNet with the gradient of the text alone, or of embeddings behind it: of the two halves of
  /// going back, that of the maps without that of the weights.
  public static func textGradients(_ count: Double) -> ModelWork {
    ModelWork(forwards: count / 2, gradients: count / 2)
  }

  public static func + (left: ModelWork, right: ModelWork) -> ModelWork {
    ModelWork(
      forwards: left.forwards + right.forwards, gradients: left.gradients + right.gradients,
      decodings: left.decodings + right.decodings, encodings: left.encodings + right.encodings,
      judgements: left.judgements + right.judgements)
  }

  public static func * (work: ModelWork, count: Int) -> ModelWork {
    let count = Double(count)
    return ModelWork(
      forwards: work.forwards * count, gradients: work.gradients * count, decodings: work.decodings * count,
      encodings: work.encodings * count, judgements: work.judgements * count)
  }

  /// About as many passes forward through the UNet as would take as long. The weights are those of common models; they
  /// serve to compare works of one kind, whose mixture is nearly the same.
  public var inForwards: Double {
    forwards + 3 * gradients + 3 * decodings + 0.02 * encodings + judgements
  }
}

extension SamplerSettings {
  /// Drawing latents: at every step a pass for each text.
  ///
  /// - Parameter texts: of a step; by default the two of guidance, or the prompt alone
  public func work(latents: Int, texts: Int? = nil) -> ModelWork {
    ModelWork(forwards: Double(latents * steps * (texts ?? (isGuided ? 2 : 1))))
  }

  /// Drawing pictures, which are decoded.
  public func work(pictures: Int, texts: Int? = nil) -> ModelWork {
    work(latents: pictures, texts: texts) + ModelWork(decodings: Double(pictures))
  }
}
