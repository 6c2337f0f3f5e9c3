internal import Configuration
internal import Tensors

/// What a model folder says of itself in its configurations and in the headers of its weights: no weight is read for
/// it, so that folders of gigabytes are listed at once.
public struct ModelSummary: Equatable, Sendable {
  /// How the values of a file are kept.
  public enum Precision: String, Sendable {
    case float64, float32, float16, bfloat16, mixed

    /// That of several parts together.
    fileprivate init(_ precisions: some Sequence<Precision>) {
      let all = Set(precisions)
      self = all.count == 1 ? all.first ?? .mixed : .mixed
    }

    fileprivate init(_ element: TensorElement) {
      switch element {
      case .float64: self = .float64
      case .float32: self = .float32
      case .float16: self = .float16
      case .bfloat16: self = .bfloat16
      }
    }
  }

  /// The text encoder, the UNet or the autoencoder.
  public struct Part: Equatable, Sendable {
    /// As its folder is called.
    public let name: String
    public let tensors: Int
    public let parameters: Int
    /// That its values take in the file.
    public let bytes: Int
    public let precision: Precision
  }

  public let parts: [Part]
  /// `Stable Diffusion 1.x` or `2.x`; of other sizes the name on the model card, and `latent diffusion` without one.
  public let family: String
  /// As diffusers names it.
  public let scheduler: String
  /// What the UNet predicts: `epsilon`, or as the scheduler's configuration has it.
  public let predictionType: String
  /// Height and width in pixels of the pictures that the model was trained on.
  public let resolution: Int
  /// The name and the sentence on the model card; nil where the folder has none.
  public let card: (name: String, description: String)?

  public var parameters: Int { parts.reduce(0) { $0 + $1.parameters } }
  public var bytes: Int { parts.reduce(0) { $0 + $1.bytes } }
  public var precision: Precision { Precision(parts.map(\.precision)) }

  /// Reads a diffusers folder, or a model in a single file.
  ///
  /// - Throws: ``ModelFolderError``, `SafetensorsError`, `FileError` or ``ModelCardError``, each one sentence that
  ///   names the file.
  public init(folder path: String) throws {
    let architecture = try DiffusionModel.Architecture(of: path)
    parts = try Part.all(of: path)
    scheduler = architecture.scheduler.scheduler.className
    predictionType = architecture.scheduler.predictionType.rawValue
    let (unet, vae) = (architecture.unet, architecture.vae)
    resolution = unet.sampleSize * vae.reduction
    card = try (Checkpoint.isFile(path) ? nil : ModelCard.load(folder: path)).map { ($0.name, $0.description) }
    family = Self.family(unet) ?? card?.name ?? "latent diffusion"
  }

  /// Stable Diffusion 1 and 2 have UNets of the same channels, and text encoders of different widths.
  private static func family(_ unet: UNetConfig) -> String? {
    guard unet.blockChannels == [320, 640, 1280, 1280] else { return nil }
    return [768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x"][unet.crossAttentionSize]
  }

  public static func == (left: ModelSummary, right: ModelSummary) -> Bool {
    left.parts == right.parts && left.family == right.family && left.scheduler == right.scheduler
      && left.predictionType == right.predictionType && left.resolution == right.resolution
      && left.card?.name == right.card?.name && left.card?.description == right.card?.description
  }
}

extension ModelSummary.Part {
  fileprivate static func all(of path: String) throws -> [Self] {
    if Checkpoint.isFile(path) {
      let file = try TensorFile(path)
      return try ModelFolder.Part.allCases.map { part in
        try Self(part.rawValue, [(file, file.names.filter { $0.hasPrefix(Checkpoint.prefix(part)) })])
      }
    }
    return try ModelFolder.Part.allCases.map { part in
      let files = try WeightFiles(folder: "\(path)/\(part.rawValue)", part).tensorFiles()
      return try Self(part.rawValue, files.map { ($0, $0.names) })
    }
  }

  private init(_ part: String, _ files: [(file: TensorFile, names: [String])]) throws {
    var (tensors, parameters, bytes) = (0, 0, 0)
    var precisions: Set<ModelSummary.Precision> = []
    for (file, names) in files {
      for name in names {
        let count = try file.shape(of: name).reduce(1, *)
        let element = try file.element(of: name)
        tensors += 1
        parameters += count
        bytes += count * element.byteCount
        precisions.insert(ModelSummary.Precision(element))
      }
    }
    self.init(
      name: part, tensors: tensors, parameters: parameters, bytes: bytes, precision: ModelSummary.Precision(precisions))
  }
}
