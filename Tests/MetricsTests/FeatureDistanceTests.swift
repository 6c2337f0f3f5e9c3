import Configuration
import Diffusion
import Foundation
import Metrics
import Shapes
import Tensors
import TestModels
import TestSupport
import Testing

/// Distances by the features of a judge, against published implementations; see Tests/Fixtures/generate_metrics.py.
@Suite struct FeatureDistanceTests {
  private func expected() throws -> JSON { try JSON.read(Fixtures.path("metrics.json")) }

  private func tensor(_ name: String) throws -> Tensor { try Fixtures.tensors("metrics.safetensors").tensor(name) }

  @Test func theFrechetDistanceIsThatOfCleanFID() throws {
    let distance = try FeatureStatistics(tensor("features.first"))
      .frechetDistance(to: FeatureStatistics(tensor("features.second")))
    let wanted = try #require(try expected()["frechet"]?.number)
    #expect(abs(distance - wanted) < 1e-5)
  }

  @Test(arguments: ["clean-fid", "torchmetrics"])
  func theKernelDistanceIsThatOf(package: String) throws {
    let (first, second) = (Matrix(try tensor("features.first")), Matrix(try tensor("features.second")))
    let wanted = try #require(try expected()["kernel"]?[package]?.number)
    #expect(abs(KernelDistance.squared(first, second) - wanted) < 1e-5)
    #expect(KernelDistance.squared(first, first) <= 0)
  }

  @Test func thePerceptualDistanceIsThatOfLPIPS() throws {
    let maps = try ["first", "second"].map { name in try (0..<2).map { try tensor("maps.\(name).\($0)") } }
    try withScratchFolder { folder in
      try FileManager.default.copyItem(
        atPath: Fixtures.path("metrics.safetensors"), toPath: folder + "/model.safetensors")
      let learned = try PerceptualDistance(folder: folder, channels: [4, 6])
      for (name, distance) in [("equal", PerceptualDistance()), ("learned", learned)] {
        let values = (try expected()["lpips"]?[name]?.array ?? []).compactMap(\.number)
        #expect(values.count == 3)
        for (found, wanted) in zip(distance(maps[0], maps[1]), values) { #expect(abs(found - wanted) < 1e-5) }
      }
      #expect(learned(maps[0], maps[0]) == [0, 0, 0])
      expectRefusal("lin1.model.1.weight has the shape [1, 6, 1, 1], and the judge's map needs [1, 8, 1, 1]") {
        _ = try PerceptualDistance(folder: folder, channels: [4, 8])
      }
      expectRefusal("has no weight \"lin2.model.1.weight\"") {
        _ = try PerceptualDistance(folder: folder, channels: [4, 6, 8])
      }
    }
  }

  @Test func weightsOfOtherMapsAreRefusedBeforeAnythingIsDrawn() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context(erasing: ["star"])
      let metric = try configured(LPIPSConfiguration.self, ["weights_path": .string(folder + "/weights")])
      expectRefusal("\(folder)/weights/model.safetensors") { _ = try metric.judges(context) }
      try FileManager.default.createDirectory(atPath: folder + "/weights", withIntermediateDirectories: true)
      try FileManager.default.copyItem(
        atPath: Fixtures.path("metrics.safetensors"), toPath: folder + "/weights/model.safetensors")
      expectRefusal("lin0.model.1.weight has the shape [1, 4, 1, 1], and the judge's map needs [1, 16, 1, 1]") {
        _ = try metric.judges(context)
      }
    }
  }

  @Test func lpipsComparesImagesOfTheConceptAndOfOthersWithThoseOfTheBaseModel() throws {
    try withScratchFolder { folder in
      let model = try SmallBaseModel(folder: folder)
      let context = model.context(erasing: ["star"])
      let metric = try configured(LPIPSConfiguration.self, ["limit": 3, "retain_limit": 9])
      let requests = try metric.requests(context)
      #expect(try metric.baseRequests(context) == requests)
      #expect(requests.prefix(3).allSatisfy { $0.prompt.contains("star") })
      #expect(!requests.dropFirst(3).contains { $0.prompt.contains("star") })
      // The images of the concept are other ones, the rest the same.
      let base = SmallBaseModel.pictures(12)
      let edited = SmallBaseModel.pictures(3, from: 100) + base.dropFirst(3)
      let values = try metric.evaluate(edited + base, context, monitor: WorkMonitor())
      #expect(values.map(\.name) == ["lpips", "lpips_others"])
      #expect(values[0].value > 0 && values[1].value == 0)
      #expect(values.map(\.direction) == [.higher, .lower])
      let judge = try JudgeNetwork.load(folder: folder + "/judges/attributes")
      let distances = PerceptualDistance()(
        judge.maps(RGBImage.batch(Array(edited.prefix(3)))), judge.maps(RGBImage.batch(Array(base.prefix(3)))))
      #expect(abs(values[0].value - distances.reduce(0, +) / 3) < 1e-9)
    }
  }

  @Test func kidIsTheMeanOverSubsetsAndNearZeroForPicturesOfTheWorld() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context()
      let kid = try configured(
        KIDConfiguration.self, ["limit": 60, "reference_limit": 80, "subsets": 4, "subset_size": 50])
      let drawn = try kid.evaluate(SmallBaseModel.pictures(60), context, monitor: WorkMonitor())[0]
      #expect((drawn.name, drawn.direction, drawn.count) == ("kid", .lower, 60))
      #expect(drawn.details["subset_size"] == 50)
      #expect(try kid.evaluate(SmallBaseModel.pictures(60), context, monitor: WorkMonitor())[0] == drawn)
      let blank = [RGBImage](repeating: RGBImage(width: 32, height: 32), count: 60)
      #expect(try kid.evaluate(blank, context, monitor: WorkMonitor())[0].value > 10 * abs(drawn.value))
      // As many as there are, where a subset asks for more.
      let large = try configured(KIDConfiguration.self, ["limit": 10, "reference_limit": 80, "subsets": 1])
      let few = try large.evaluate(SmallBaseModel.pictures(10), context, monitor: WorkMonitor())[0]
      #expect(few.details["subset_size"] == 10)
    }
  }

  @Test func kidOfFewPromptsHasAnIntervalOfNumbersOrNone() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context()
      func interval(_ limit: Int) throws -> ConfidenceInterval? {
        let kid = try configured(
          KIDConfiguration.self, ["limit": .integer(limit), "reference_limit": 20, "subsets": 2])
        return try kid.evaluate(SmallBaseModel.pictures(limit), context, monitor: WorkMonitor())[0].interval
      }
      #expect(try interval(3) == nil)
      // Some of a thousand resamples of four prompts take one of them four times.
      let few = try #require(try interval(4))
      #expect(few.lower.isFinite && few.upper.isFinite && few.lower < few.upper)
    }
  }

  @Test func fidOfFewerImagesThanFeaturesSaysWhatThatMeans() throws {
    try withScratchFolder { folder in
      let context = try SmallBaseModel(folder: folder).context()
      func value(_ limit: Int) throws -> MetricValue {
        let fid = try configured(FIDConfiguration.self, ["limit": .integer(limit), "reference_limit": 90])
        return try fid.evaluate(SmallBaseModel.pictures(limit), context, monitor: WorkMonitor())[0]
      }
      let warning = try #require(try value(64).details["warning"]?.string)
      #expect(warning.hasPrefix("64 images for 64 features: the covariance has less than full rank"))
      #expect(try value(65).details["warning"] == nil)
    }
  }
}
