import Configuration
import Diffusion
import Erasure
import Foundation
import Metrics
import Store
import Tensors
import TestModels
import TestSupport
import Workbench

/// A store and a tiny base model in a folder of their own, and runners on them.
final class SmallWorkbench {
  let folder: String
  let store: Store
  let locations: Locations

  private let catalogue: Catalogue

  var modelFolder: String { folder + "/models/tiny" }

  /// - Parameter judged: whether the model's card declares concepts and judges, and every technique, attack and metric
  ///   can be named
  init(judged: Bool = false) throws {
    folder = Self.root + "/lethe-runner-" + UUID().uuidString
    catalogue = judged ? .standard : .small
    try FileManager.default.createDirectory(atPath: folder + "/models", withIntermediateDirectories: true)
    if judged {
      _ = try SmallBaseModel(folder: folder + "/models/tiny", draws: true)
    } else {
      try FileManager.default.copyItem(atPath: Fixtures.path("tiny-diffusers"), toPath: folder + "/models/tiny")
      let card = ModelCard(name: "tiny", description: "", sampler: ModelCard.Sampler(steps: 2, guidanceScale: 2))
      try card.write(folder: folder + "/models/tiny")
    }
    store = try Store.open(folder + "/store")
    locations = Locations(store: folder + "/store", from: folder, executable: folder + "/bin/lethe")
  }

  /// A file system in memory where there is a roomy one: a store syncs every object, and waiting for a disk is no part
  /// of what is tested here.
  private static let root: String = {
    let memory = "/dev/shm"
    let free = try? FileManager.default.attributesOfFileSystem(forPath: memory)[.systemFreeSize] as? Int
    return free ?? 0 > 2 << 30 && FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
  }()

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func runner(_ options: Runner.Options = Runner.Options(), code: ComputingCode = .current) -> Runner {
    Runner(store: store, locations: locations, catalogue: catalogue, code: code, options: options)
  }

  func points(_ document: JSON, _ overrides: Overrides = Overrides()) throws -> [ExperimentPoint] {
    let experiment = try Experiment(
      document, file: folder + "/ssd.json", overrides: overrides, catalogue: catalogue)
    return try runner().points(of: experiment)
  }

  /// Runs a document with a runner of its own, as a new process would.
  @discardableResult
  func run(
    _ document: JSON, _ options: Runner.Options = Runner.Options(), code: ComputingCode = .current,
    monitor: RunMonitor = RunMonitor()
  ) throws -> [RunOutcome] {
    try runner(options, code: code).run(points(document), monitor: monitor)
  }

  func remove(_ digest: Digest) throws {
    try FileManager.default.removeItem(atPath: store.objects.path(of: digest))
  }

  /// Replaces the bytes of an object, as a failing disk would.
  func damage(_ digest: Digest) throws {
    let path = store.objects.path(of: digest)
    var bytes = try store.objects.read(digest)
    bytes[bytes.count / 2] ^= 1
    try FileManager.default.removeItem(atPath: path)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }
}

extension RunOutcome {
  /// The names of the stages that were computed.
  var computed: [String] { record.stages.filter { !$0.cached }.map(\.name) }

  func output(_ name: String) -> Digest? { record.outputs.first { $0.name == name }?.digest }

  /// How many images were drawn.
  var drawn: Int? { record.stages.first { $0.name == "images" }?.details?["drawn"]?.integer }
}

/// SSD with two noise samples on the tiny model, judged by the mean of four images.
let small: JSON = [
  "base_model": "./models/tiny", "seed": 3,
  "technique": [
    "name": "ssd",
    "config": [
      "erase_concept": "circle", "forget_prompts": ["a circle"], "retain_prompts": ["a square", "a cat"],
      "num_fisher_samples": 1, "alpha": 2,
    ],
  ],
  "metrics": [["name": "mean_pixel", "config": ["limit": 4]]],
]

/// The same model without an edit.
let smallBase: JSON = [
  "base_model": "./models/tiny", "seed": 3, "technique": ["name": "base"],
  "metrics": [["name": "mean_pixel", "config": ["limit": 4]]],
]

func with(_ document: JSON, _ keyPath: String, _ value: JSON) throws -> JSON {
  try document.setting(keyPath, to: value)
}

let bothMetrics: JSON = [
  ["name": "mean_pixel", "config": ["limit": 4]], ["name": "pixel_spread", "config": ["limit": 3]],
]

extension Catalogue {
  static let small = Catalogue(
    techniques: [
      "base": BaseConfiguration.self, "free_run": BaseConfiguration.self, "ssd": SSDConfiguration.self,
      "uce": UCEConfiguration.self, "sld": SLDConfiguration.self, "ac": ACConfiguration.self,
      "p_esd": PESDConfiguration.self, "post_prune": PostPruneConfiguration.self,
    ],
    metrics: ["mean_pixel": MeanPixel.self, "pixel_spread": PixelSpread.self])
}

/// The mean of all colours, from 0 to 255.
struct MeanPixel: ImageMetric {
  static let name = "mean_pixel"
  static let sourceFile = #fileID
  static let fields: [Field<MeanPixel>] = [Field("limit", \.limit, .atLeast(1), "Images")]

  var limit = 4

  func requests(_ context: MetricContext) -> [ImageRequest] {
    (0..<limit).map { ImageRequest(prompt: ["a circle", "a cat"][$0 % 2], seed: context.seed, repetition: $0 / 2) }
  }

  func judges(_ context: MetricContext) -> [String] { [] }

  func evaluate(_ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor) throws -> [MetricValue] {
    let pixels = images.flatMap(\.pixels)
    let mean = pixels.reduce(0.0) { $0 + Double($1) } / Double(pixels.count)
    return [MetricValue("mean_pixel", mean, unit: "level", .none, count: images.count, judge: "")]
  }
}

/// The mean over images of the difference between the brightest and the darkest value.
struct PixelSpread: ImageMetric {
  static let name = "pixel_spread"
  static let sourceFile = "WorkbenchTests/PixelSpread.swift"
  static let fields: [Field<PixelSpread>] = [Field("limit", \.limit, .atLeast(1), "Images")]

  var limit = 4

  func requests(_ context: MetricContext) -> [ImageRequest] { MeanPixel(limit: limit).requests(context) }

  func judges(_ context: MetricContext) -> [String] { [context.modelFolder + "/scheduler"] }

  func evaluate(_ images: [RGBImage], _ context: MetricContext, monitor: WorkMonitor) throws -> [MetricValue] {
    let spreads = images.map { Double(($0.pixels.max() ?? 0) - ($0.pixels.min() ?? 0)) }
    let mean = spreads.reduce(0, +) / Double(images.count)
    return [MetricValue("pixel_spread", mean, unit: "level", .higher, count: images.count, judge: "")]
  }
}
