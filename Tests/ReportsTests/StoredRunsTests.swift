import Configuration
import Diffusion
import Foundation
import Reports
import Store
import TestSupport
import Testing
import Workbench

@Suite struct StoredRunsTests {
  private let ssd: JSON = [
    "base_model": "./model",
    "technique": [
      "name": "ssd", "config": ["erase_concept": "circle", "num_inference_steps": 25, "guidance_scale": 4.5],
    ],
    "metrics": [["name": "fid", "config": [:]]],
    "sweep": ["technique.config.alpha": [1, 5]],
  ]

  /// Writes an experiment and a base model beside it, and keeps a run of one point with an image of one prompt.
  private func prepare(_ folder: String) throws -> (store: Store, locations: Locations, points: [ExperimentPoint]) {
    try FileManager.default.createDirectory(atPath: folder + "/model", withIntermediateDirectories: true)
    try "{}".write(toFile: folder + "/model/model_index.json", atomically: true, encoding: .utf8)
    try ssd.pretty().write(toFile: folder + "/ssd.json", atomically: true, encoding: .utf8)
    let locations = Locations(store: folder + "/store", from: folder)
    let store = try Store.open(locations.store)
    let experiment = try Experiment(reading: folder + "/ssd.json")
    let points = try experiment.points(devices: Device.allCases) { model in
      try BaseModel(
        name: model, folder: try locations.modelFolder(model, from: experiment.folder),
        digests: FileDigests(storeFolder: locations.store)
      ).declaration
    }
    try add(points[0], fid: 12.5, to: store)
    return (store, locations, points)
  }

  private func add(_ point: ExperimentPoint, fid: Double, to store: Store) throws {
    let entries = try (0..<2).map { repetition in
      ImageSet.Entry(
        request: ImageRequest(prompt: "a circle", seed: 0, repetition: 1 - repetition),
        digest: try store.objects.add(
          try PNG.encode(RGBImage(width: 4, height: 4, filledWith: (UInt8(100 * repetition), 0, 0)))))
    }
    try store.add(
      RunRecord(
        experiment: point.json, name: point.experiment, technique: point.technique.name, seed: point.seed,
        settings: point.set, configHash: point.configHash, groupHash: point.configHashWithoutSeed, status: .finished,
        stages: [
          RunRecord.Stage(name: "base", key: point.configHash, cached: true, seconds: 1),
          RunRecord.Stage(name: "fisher", key: point.configHash, cached: true, seconds: 0.5, computedSeconds: 40),
          RunRecord.Stage(
            name: "edit", key: point.configHash, cached: false, seconds: 2,
            details: ["bytes": 96, "weights_changed": 0.25]),
          RunRecord.Stage(name: "images", key: point.configHash, cached: false, seconds: 9),
        ],
        metrics: [
          RunRecord.Metric(
            name: "fid", value: fid, direction: "lower", unit: "", count: 64, judge: "shapes/attributes")
        ],
        outputs: [
          RunRecord.Output(name: "images", digest: try store.objects.add(ImageSet(entries).json.canonical()))
        ],
        git: GitState(repository: .none), environment: Environment.capture(threads: 1),
        started: "2026-01-01T00:00:00.000Z", finished: "2026-01-01T00:00:01.000Z"))
  }

  private func spec() -> TableSpec {
    var selection = RunSelection()
    selection.file = "../ssd.json"
    selection.label = "SSD, α = {alpha}"
    var spec = TableSpec(title: "t", runs: [selection], columns: [ColumnSpec(metric: "fid")], file: "tables/t.json")
    spec.grid = GridSpec()
    return spec
  }

  @Test func aReportIsMadeFromWhatTheStoreHolds() throws {
    try withScratchFolder { folder in
      let (store, locations, _) = try prepare(folder)
      let points = try spec().points(in: folder + "/tables", locations: locations)
      let stored = try StoredRuns(for: spec(), points: points, in: store)
      let report = try Report(spec(), runs: stored.runs, points: points, images: stored.images)
      #expect(report.table.rows.map(\.label) == ["SSD, α = 1"])
      #expect(report.table.rows[0].cells[0]?.mean == 12.5)
      #expect(report.table.notes.contains("fid: n = 64, judged by shapes/attributes."))
      #expect(report.table.notes.contains("All images: 25 DDIM steps, guidance scale 4.5."))
      #expect(report.table.notes.contains("Missing: 1 point never run (ssd, alpha = 5, seed 0)."))
      #expect(report.files.map(\.name).contains("grid.png"))
    }
  }

  @Test func ofAFileThatIsNarrowedOnlyThePointsThatAreLeftAreExpected() throws {
    try withScratchFolder { folder in
      let (store, locations, _) = try prepare(folder)
      var spec = spec()
      spec.runs[0].values = select("ssd", where: ["technique.config.alpha": 1]).values
      let points = try spec.points(in: folder + "/tables", locations: locations)
      let stored = try StoredRuns(for: spec, points: points, in: store)
      let report = try Report(spec, runs: stored.runs, points: points, images: stored.images)
      #expect(report.table.rows.count == 1)
      #expect(!report.table.notes.contains { $0.hasPrefix("Missing") })
    }
  }

  @Test func aFileWithAnOverlayIsAnotherExperimentThanTheFile() throws {
    try withScratchFolder { folder in
      let (store, locations, _) = try prepare(folder)
      try "{\"edit_seed\": 4}".write(toFile: folder + "/seed.json", atomically: true, encoding: .utf8)
      var spec = spec()
      spec.runs[0].overlays = ["../seed.json"]
      let points = try spec.points(in: folder + "/tables", locations: locations)
      let plain = try self.spec().points(in: folder + "/tables", locations: locations)
      let hashes = [points, plain].map { Set($0.values.joined().map(\.groupHash)) }
      #expect(hashes.map(\.count) == [2, 2])
      #expect(hashes[0].isDisjoint(with: hashes[1]))
      // The run in the store is one of the file alone.
      let stored = try StoredRuns(for: spec, points: points, in: store)
      #expect(throws: ConfigurationError.self) {
        try Report(spec, runs: stored.runs, points: points, images: stored.images)
      }
    }
  }

  @Test func anOverlayOverNothingIsRefused() {
    let json: JSON = ["title": "t", "runs": [["overlays": ["o.json"], "technique": "ssd"]], "columns": ["fid"]]
    let error = #expect(throws: ConfigurationError.self) { try TableSpec.parse(json, file: "t.json") }
    #expect(error?.description.contains("runs.0.overlays: there is no \"file\" for them to lie over") == true)
  }

  @Test func aRunTellsOfItsEditWhatItChangedAndWhatItCost() throws {
    try withScratchFolder { folder in
      let (store, locations, _) = try prepare(folder)
      let points = try spec().points(in: folder + "/tables", locations: locations)
      let values = try #require(try StoredRuns(for: spec(), points: points, in: store).runs.first).values
      #expect(values.map(\.name) == ["fid", "weights_changed", "edit_bytes", "edit_seconds"])
      #expect(values.map(\.value) == [12.5, 0.25, 96, 42])
    }
  }

  @Test func remarksThatAreNotThereAreNamed() throws {
    try withScratchFolder { folder in
      var spec = spec()
      spec.file = folder + "/t.json"
      spec.remarks = "found.md"
      #expect { try spec.readRemarks() } throws: {
        "\($0)".hasSuffix("remarks: there is no text file \(folder)/found.md")
      }
      try "Found.".write(toFile: folder + "/found.md", atomically: true, encoding: .utf8)
      #expect(try spec.readRemarks() == "Found.")
    }
  }

  @Test func theLowestRepetitionOfAPromptIsShown() throws {
    try withScratchFolder { folder in
      let (store, _, _) = try prepare(folder)
      var all = spec()
      all.runs[0].file = nil
      all.runs[0].technique = "ssd"
      let stored = try StoredRuns(for: all, in: store)
      let picture = try #require(try stored.images.image(stored.runs[0], "a circle"))
      #expect(picture.pixels.prefix(3) == [100, 0, 0])
      #expect(try stored.images.image(stored.runs[0], "a square") == nil)
    }
  }

  @Test func anImageWhoseBytesWereChangedIsNamedAndNotShown() throws {
    try withScratchFolder { folder in
      let (store, locations, _) = try prepare(folder)
      let points = try spec().points(in: folder + "/tables", locations: locations)
      let damaged = try store.objects.add(try PNG.encode(RGBImage(width: 4, height: 4, filledWith: (100, 0, 0))))
      let path = store.objects.path(of: damaged)
      try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
      try Data("not the bytes".utf8).write(to: URL(fileURLWithPath: path))
      let stored = try StoredRuns(for: spec(), points: points, in: store)
      #expect {
        try Report(spec(), runs: stored.runs, points: points, images: stored.images)
      } throws: { "\($0)".contains(damaged.hex.prefix(12)) }
    }
  }

  @Test func anExperimentFileThatIsNotThereIsNamed() throws {
    try withScratchFolder { folder in
      let locations = Locations(store: folder + "/store", from: folder)
      #expect { try spec().points(in: folder + "/tables", locations: locations) } throws: {
        "\($0)".contains(folder + "/ssd.json")
      }
    }
  }

  @Test(arguments: [
    ("../ssd.json", "experiments/tables", "experiments/ssd.json"), ("ssd.json", ".", "ssd.json"),
    ("../../a.json", "tables", "../a.json"), ("../a.json", "/tables", "/a.json"), ("./a.json", "x/", "x/a.json"),
    ("/a.json", "x", "/a.json"), ("../a.json", "..", "../../a.json"),
  ])
  func pathsAreSeenFromTheSpecification(name: String, folder: String, path: String) {
    #expect(TableSpec.path(of: name, in: folder) == path)
  }
}
