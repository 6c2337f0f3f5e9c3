public import Configuration

/// The recipe of one part: how it is optimised and how its network is made.
public struct PartRecipe<Network: Configuration>: Sendable {
  public var optimization: OptimizationRecipe
  public var network: Network

  /// Reads `{"optimization": {...}, "network": {...}}`.
  init(_ json: JSON, file: String) throws(ConfigurationError) {
    guard let members = json.object else {
      throw ConfigurationError(file: file, "expected an object, found \(json.kind)")
    }
    let known = ["network", "optimization"]
    for key in members.keys.sorted() where !known.contains(key) {
      throw ConfigurationError(file: file, keyPath: key, "unknown key" + suggestion(for: key, among: known))
    }
    optimization = try .parse(members["optimization"] ?? [:], file: file, keyPath: "optimization")
    network = try .parse(members["network"] ?? [:], file: file, keyPath: "network")
  }

  var json: JSON { ["optimization": optimization.encode(), "network": network.encode()] }
}

/// The network of a part that leaves nothing to choose.
public struct FixedNetwork: Configuration {
  public init() {}
  public static let fields: [Field<FixedNetwork>] = []
}

/// The parts of the embedded model, each trained with what the parts before it have become.
public enum ShapesPart: String, CaseIterable, Sendable {
  case judge, clip, autoencoder, unet

  /// The parts whose weights this one is trained with.
  public var needs: [ShapesPart] {
    switch self {
    case .judge, .clip: []
    case .autoencoder: [.judge]
    case .unet: [.clip, .autoencoder]
    }
  }
}

/// How the embedded model is trained from nothing: a folder with one file for each part, for example
/// `experiments/shapes/unet.json`.
public struct ShapesRecipe: Sendable {
  public let judge: PartRecipe<FixedNetwork>
  public let clip: PartRecipe<CLIPNetworkRecipe>
  public let autoencoder: PartRecipe<AutoencoderNetworkRecipe>
  public let unet: PartRecipe<UNetNetworkRecipe>

  /// - Parameter overrides: values by key path that take the place of the files', for example
  ///   `unet.network.channels`.
  /// - Throws: `JSONError` or `ConfigurationError`, one sentence that names file and key.
  public init(folder: String, overrides: [(keyPath: String, value: JSON)] = []) throws {
    var files: [ShapesPart: JSON] = [:]
    for part in ShapesPart.allCases { files[part] = try JSON.read("\(folder)/\(part.rawValue).json") }
    for (keyPath, value) in overrides {
      let words = keyPath.split(separator: ".", maxSplits: 1).map(String.init)
      guard words.count == 2, let part = ShapesPart(rawValue: words[0]), let json = files[part] else {
        let parts = ShapesPart.allCases.map(\.rawValue)
        throw ConfigurationError(
          file: folder, keyPath: keyPath,
          "expected a part and a key in its recipe" + suggestion(for: words.first ?? "", among: parts))
      }
      files[part] = try json.setting(words[1], to: value)
    }
    func recipe<Network>(_ part: ShapesPart) throws -> PartRecipe<Network> {
      try PartRecipe(files[part] ?? [:], file: "\(folder)/\(part.rawValue).json")
    }
    judge = try recipe(.judge)
    clip = try recipe(.clip)
    autoencoder = try recipe(.autoencoder)
    unet = try recipe(.unet)
    let levels = unet.network.channels.count
    // Each level but the last halves its input.
    guard levels - 1 <= autoencoder.network.latentSize.trailingZeroBitCount else {
      throw ConfigurationError(
        file: "\(folder)/unet.json", keyPath: "network.channels",
        "\(levels) levels halve the autoencoder's latents of \(autoencoder.network.latentSize) pixels too often")
    }
  }

  /// The recipe of a part with every default filled in.
  public func json(of part: ShapesPart) -> JSON {
    switch part {
    case .judge: judge.json
    case .clip: clip.json
    case .autoencoder: autoencoder.json
    case .unet: unet.json
    }
  }

  /// All parts.
  public var json: JSON {
    .object(Dictionary(uniqueKeysWithValues: ShapesPart.allCases.map { ($0.rawValue, json(of: $0)) }))
  }
}
