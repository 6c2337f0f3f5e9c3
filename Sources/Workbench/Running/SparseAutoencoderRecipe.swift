public import Configuration
public import Erasure

/// How a sparse autoencoder is trained on the activations of a base model: the file that `lethe train sae` reads.
public struct SparseAutoencoderRecipe: Configuration {
  public var baseModel = "shapes"
  public var autoencoder = SparseAutoencoderSettings()
  public var generation = GenerationSettings()
  public var seed = 0

  public init() {}

  public static let fields: [Field<SparseAutoencoderRecipe>] = [
    Field("base_model", \.baseModel, .notEmpty, "The model to train on: a name, or a path with a slash in it"),
    Field("seed", \.seed, ExperimentSettings.seedRule, "The seed of the pictures and of the training"),
  ] + SparseAutoencoderSettings.fields.map { $0.inside(\.autoencoder) }
    + GenerationSettings.samplerFields.map { $0.inside(\.generation) }

  public func validate() throws(ConfigurationError) {
    if autoencoder.trainingPrompts == nil {
      throw ConfigurationError(keyPath: "training_prompts", "expected prompts to train on, found none")
    }
  }

  /// Reads a recipe.
  ///
  /// - Parameters:
  ///   - overrides: values by key that take the place of the file's
  ///   - baseModel: the base model in place of the file's; a relative folder is meant from where the program runs
  /// - Throws: `JSONError` or `ConfigurationError`, one sentence that names file and key.
  public init(
    reading path: String, overrides: [(keyPath: String, value: JSON)] = [], baseModel: String? = nil
  ) throws {
    var document = try JSON.read(path)
    do throws(ConfigurationError) {
      for (keyPath, value) in overrides { document = try document.setting(keyPath, to: value) }
      if let baseModel {
        document = try document.setting("base_model", to: .string(Locations.absoluteModel(baseModel)))
      }
      self = try .parse(document)
    } catch {
      throw error.inside(file: path, keyPath: "")
    }
  }
}
