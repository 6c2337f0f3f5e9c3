import Configuration
import Diffusion
import Erasure
import TestSupport
import Tensors
import Testing

@Suite struct RECETests {
  private let model: DiffusionModel

  init() throws { model = try DiffusionModel(folder: Fixtures.path("tiny-diffusers")) }

  private func normal(_ rows: Int, _ columns: Int, _ name: String) -> Matrix {
    Matrix(RandomStream(seed: 11, "rece", name).normal([rows, columns]))
  }

  private func matrices(_ name: String) -> [Matrix] { (0..<3).map { normal(8, 5, "\(name) \($0)") } }

  @Test func anUneditedModelIsFooledByTheConceptItself() throws {
    let original = matrices("original")
    let concept = normal(2, 5, "concept")
    for regularization in AdversarialEmbedding.Regularization.allCases {
      for item in AdversarialEmbedding.SurrogateItem.allCases {
        let adversarial = AdversarialEmbedding(
          original: original, erased: original, regularization: regularization, item: item, scale: 1e-9)
        #expect((try adversarial.embedding(of: concept, oldTarget: concept * 0) - concept).norm < 1e-6)
      }
    }
  }

  /// A step in any direction from c' makes the objective of each variant no smaller.
  @Test func minimisesItsObjective() throws {
    let (original, erased) = (matrices("original"), matrices("erased"))
    let concept = normal(1, 5, "concept"), target = normal(1, 5, "target")
    let scale = 0.3
    func square(_ matrix: Matrix) -> Double { matrix.norm * matrix.norm }
    func outputs(_ embedding: Matrix, _ other: Matrix, _ old: [Matrix]) -> Double {
      var sum = 0.0
      for (after, before) in zip(erased, old) {
        sum += square(embedding.times(after, otherTransposed: true) - other.times(before, otherTransposed: true))
      }
      return sum
    }
    func objective(_ c: Matrix, _ kind: AdversarialEmbedding.Regularization, _ item: AdversarialEmbedding.SurrogateItem)
      -> Double
    {
      let base = outputs(c, concept, original)
      switch kind {
      case .zero: return base + scale * square(c)
      case .standard: return base + scale * square(c - target)
      case .surrogate:
        let onOutputs = item == .second ? 0 : scale * outputs(c, concept, erased)
        let onEmbedding = item == .first ? 0 : scale * square(c - concept)
        return base + onOutputs + onEmbedding
      }
    }
    for kind in AdversarialEmbedding.Regularization.allCases {
      for item in AdversarialEmbedding.SurrogateItem.allCases {
        let found = try AdversarialEmbedding(
          original: original, erased: erased, regularization: kind, item: item, scale: scale
        ).embedding(of: concept, oldTarget: target)
        let least = objective(found, kind, item)
        for trial in 0..<8 {
          #expect(objective(found + normal(1, 5, "step \(trial)") * 1e-3, kind, item) > least)
        }
      }
    }
  }

  private func edited(_ json: JSON) throws -> ModelEdit {
    try RECEConfiguration.parse(json).edit(EditContext(model: model, seed: 0))
  }

  @Test func withoutEpochsItIsUCE() throws {
    let rece = try edited([
      "erase_concept": "star", "guide_concepts": ["shape"], "preserve_concepts": ["ring"], "epochs": 0,
      "uce": ["lamb": 0.2],
    ])
    let uce = try UCEConfiguration.parse([
      "erase_concept": "star", "guide_concepts": ["shape"], "preserve_concepts": ["ring"], "lamb": 0.2,
    ]).edit(EditContext(model: model, seed: 0))
    #expect(rece.replacedUNetTensors.mapValues(bits) == uce.replacedUNetTensors.mapValues(bits))
  }

  @Test(arguments: ["close_regzero", "close_standardreg", "close_surrogatereg"])
  func eachEpochEditsKeysAndValuesOnwards(_ computing: String) throws {
    func rece(_ epochs: Int) throws -> ModelEdit {
      try edited([
        "erase_concept": ["star", "ring"], "guide_concepts": ["shape"], "emb_computing": .string(computing),
        "epochs": .integer(epochs),
      ])
    }
    let (one, two) = (try rece(1), try rece(2))
    #expect(
      one.replacedUNetTensors.keys.sorted()
        == model.unetWeights.names.filter { $0.contains("attn2.to_k") || $0.contains("attn2.to_v") })
    #expect(one.replacedUNetTensors.mapValues(bits) != two.replacedUNetTensors.mapValues(bits))
    #expect(two.details["relative_distance_of_adversarial_embedding_by_epoch"]?.array?.count == 2)
    #expect(two.replacedUNetTensors.values.allSatisfy { $0.values.allSatisfy(\.isFinite) })
  }

  @Test func stopsWhenItIsAskedTo() throws {
    let rece = try RECEConfiguration.parse(["erase_concept": "star"])
    let context = EditContext(model: model, seed: 0, monitor: WorkMonitor(isCancelled: { true }))
    #expect(throws: CancellationError.self) { try rece.edit(context) }
  }

  @Test func refusesSettingsOfUCEThatAreItsOwnOrUnknown() {
    func refusal(_ json: JSON) -> String? {
      do { _ = try RECEConfiguration.parse(json) } catch { return "\(error)" }
      return nil
    }
    #expect(refusal(["uce": ["erase_concept": "star"]])?.contains("uce.erase_concept") == true)
    #expect(refusal(["uce": ["use_fp16": true]])?.contains("uce.use_fp16") == true)
    #expect(refusal(["uce": ["lamda": 1]])?.contains("lamb") == true)
    #expect(refusal(["erase_concept": ["a", "b", "c"], "guide_concepts": ["d", "e"]]) != nil)
  }
}
