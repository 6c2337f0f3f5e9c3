internal import Configuration

/// The settings of training that techniques share.
extension Field {
  static func eraseConcept(
    _ path: any WritableKeyPath<Root, String> & Sendable, _ meaning: String = "The concept to erase"
  ) -> Field {
    Field("erase_concept", path, .notEmpty, meaning, source: "seed document 000", role: .concept)
  }

  static func eraseConcepts(_ path: any WritableKeyPath<Root, [String]?> & Sendable, source: String) -> Field {
    Field(
      "erase_concepts", path, .each(.notEmpty), "Concepts that are erased along with it", source: source,
      role: .concept)
  }

  static func erasePrompts(_ path: any WritableKeyPath<Root, [String]?> & Sendable) -> Field {
    Field(
      "erase_prompts", path, .each(.notEmpty),
      "Prompts that name the concept, to train on in place of the concepts themselves", source: "own", role: .prompt)
  }

  static func trainMethod(
    _ path: any WritableKeyPath<Root, ParameterGroup> & Sendable, _ meaning: String, source: String
  ) -> Field {
    Field(
      "train_method", path,
      meaning + ": " + ParameterGroup.allCases.map { "\($0.rawValue) (\($0.meaning))" }.joined(separator: ", "),
      source: source)
  }

  static func trainSteps(_ path: any WritableKeyPath<Root, Int> & Sendable, source: String) -> Field {
    Field("train_steps", path, .atLeast(1), "Training iterations", source: source)
  }

  static func learningRate(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field("learning_rate", path, .greaterThan(0), "Learning rate of the optimiser", source: source)
  }

  static func batchSize(_ path: any WritableKeyPath<Root, Int> & Sendable, source: String) -> Field {
    Field(
      "batch_size", path, .atLeast(1), "Samples of an iteration; it follows the mean of their losses", source: source)
  }

  static func startGuidance(_ path: any WritableKeyPath<Root, Double> & Sendable, source: String) -> Field {
    Field(
      "start_guidance", path, .atLeast(0),
      "Classifier-free guidance scale of the partial trajectories that latents are taken from; 1 and below is none",
      source: source)
  }

  static func timestepPairing(_ path: any WritableKeyPath<Root, TimestepPairing> & Sendable, source: String) -> Field {
    Field(
      "timestep_pairing", path,
      "The timestep that goes with a trajectory's latent: of the next step (next), of the last one (last), any of the "
        + "next step's (bin), or two to three steps noisier as in ESD's script of 2023 (2023)",
      source: source)
  }

  static func pruneRatio(_ path: any WritableKeyPath<Root, Double> & Sendable) -> Field {
    Field(
      "prune_ratio", path, .between(0...1),
      "The share of the weights of all linear layers and convolutions together that is pruned, the smallest first",
      source: "seed document 001, section 4.5")
  }
}

extension Array {
  /// The fields with another source for those of these keys: where a technique has defaults of its own for settings
  /// that it shares.
  func sourced<Root>(_ keys: Set<String>, _ source: String) -> [Field<Root>] where Element == Field<Root> {
    map { keys.contains($0.key) ? $0.sourced(source) : $0 }
  }
}
