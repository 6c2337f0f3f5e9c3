import Configuration
import Metrics
import Tensors
import TestSupport
import Testing

@Suite struct FrechetDistanceTests {
  /// What numpy and scipy computed; see Tests/Fixtures/generate_diffusers.py.
  private func expected(_ name: String, _ way: String) throws -> Double {
    try #require(JSON.read(Fixtures.path("reference.json"))["frechet"]?[name]?[way]?.number)
  }

  private func statistics(_ name: String) throws -> FeatureStatistics {
    FeatureStatistics(try Fixtures.tensors("frechet.safetensors").tensor(name))
  }

  @Test func agreesWithScipyOnFeaturesOfFullRank() throws {
    let distance = try statistics("full.first").frechetDistance(to: statistics("full.second"))
    #expect(abs(distance - (try expected("full", "scipy_sqrtm"))) < 1e-9)
  }

  @Test(arguments: [("deficient", "deficient.first", "deficient.second"), ("dead", "dead.first", "full.second")])
  func agreesWithScipyWhereCovariancesAreSingular(_ name: String, _ first: String, _ second: String) throws {
    let distance = try statistics(first).frechetDistance(to: statistics(second))
    #expect(abs(distance - (try expected(name, "symmetric"))) < 1e-6)
    #expect(abs(distance - (try expected(name, "scipy_sqrtm"))) < 1e-6)
  }

  @Test func wideFeaturesAreSummedUpInBlocks() {
    let rows = RandomStream(seed: 5, "wide").normal([40, 530])
    let (blocks, whole) = (FeatureStatistics(rows).covariance, Matrix(rows).columnCovariance)
    #expect((blocks - whole).norm < 1e-12 * whole.norm)
  }

  @Test(arguments: ["full.first", "deficient.first", "dead.first"])
  func isZeroFromASetToItself(_ name: String) throws {
    #expect(try statistics(name).frechetDistance(to: statistics(name)) < 1e-10)
  }

  @Test func isTheSameBothWays() throws {
    let (first, second) = (try statistics("full.first"), try statistics("dead.first"))
    let (there, back) = (try first.frechetDistance(to: second), try second.frechetDistance(to: first))
    #expect(abs(there - back) < 1e-10)
  }

  @Test func isTheSquaredShiftWhereOnlyTheMeansDiffer() throws {
    let rows = try Fixtures.tensors("frechet.safetensors").tensor("full.first")
    let moved = rows + Tensor.full(2, [1, rows.shape[1]])
    let distance = try FeatureStatistics(rows).frechetDistance(to: FeatureStatistics(moved))
    #expect(abs(distance - 4 * Double(rows.shape[1])) < 1e-4)
  }

  @Test func aFeatureThatIsNoNumberIsRefused() throws {
    let broken = FeatureStatistics(Tensor([1, 2, .nan, 4, 5, 6], shape: [3, 2]))
    #expect(throws: MatrixError.self) { try broken.frechetDistance(to: broken) }
  }
}
