import Configuration
import Diffusion
import Workbench

/// The folder `experiments/` of this repository.
let experimentsFolder: String = {
  let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
  return parts.dropLast(3).joined(separator: "/") + "/experiments"
}()

/// An experiment that erases a circle and is judged by two metrics.
let circle: JSON = [
  "technique": ["name": "ssd", "config": ["erase_concept": "circle", "alpha": 2]],
  "metrics": [["name": "cer"], ["name": "fid", "config": ["limit": 100]]],
]

/// What a small drawn base model declares.
let shapes = declaring("circle", "square", "red", words: ["a", "circle", "photo", "of"])

/// A base model that declares concepts, 20 steps and a guidance scale of 3.
func declaring(_ concepts: String..., words: [String] = []) -> BaseDeclaration {
  BaseDeclaration(
    card: ModelCard(
      name: "shapes", description: "", sampler: ModelCard.Sampler(steps: 20, guidanceScale: 3),
      concepts: concepts.enumerated().map { index, name in
        let judge = ModelCard.JudgeClass(judge: "attributes", head: "object", classIndex: index)
        return ModelCard.Concept(name: name, kind: "object", judge: judge)
      },
      vocabulary: words))
}

func experiment(_ document: JSON, _ overrides: Overrides = Overrides()) throws -> Experiment {
  try Experiment(document, file: "tests/e.json", overrides: overrides)
}

func points(_ document: JSON, _ overrides: Overrides = Overrides()) throws -> [ExperimentPoint] {
  try experiment(document, overrides).points { _ in shapes }
}

func sets(_ texts: String...) throws -> Overrides {
  Overrides(assignments: try texts.map { try Assignment(parsing: $0) })
}

/// What refuses the document, on the drawn base model.
func refusal(_ document: JSON, _ overrides: Overrides = Overrides()) -> String {
  do {
    _ = try points(document, overrides)
    return "nothing refused"
  } catch {
    return "\(error)"
  }
}

/// The document with one value changed; a key path that leads nowhere fails the test that uses it.
func with(_ keyPath: String, _ value: JSON, in document: JSON = circle) throws -> JSON {
  try document.setting(keyPath, to: value)
}
