public import Diffusion
public import Store
public import Tensors

extension Runner {
  /// Draws a picture again with the edited model of a past run, from the noise that DDIM inversion finds for it: what
  /// the edit has erased should be gone, and the rest still there.
  ///
  /// - Parameters:
  ///   - prompt: of inversion and drawing: what the picture shows, such as ``purificationPrompt(of:)``; with the empty
  ///     one the edit has hardly anything to act on
  ///   - invertsWithBase: whether the unedited model finds the noise; the edited one may draw again what it has found
  ///     itself
  ///   - monitor: progress in steps
  /// - Throws: ``ReproductionError`` for a run without an edit, ``PictureOrderError`` for a picture of another size
  ///   than the model draws, `ModelFolderError` for a base model that changed meanwhile.
  public func purify(
    _ picture: RGBImage, by run: Digest, prompt: String, invertsWithBase: Bool, monitor: WorkMonitor
  ) throws -> Purification.Result {
    let (edited, settings) = try model(of: run)
    let side = edited.unet.config.sampleSize * edited.vae.config.reduction
    guard picture.width == side, picture.height == side else {
      throw PictureOrderError(
        description: "the picture is \(picture.width) x \(picture.height), and the model of run \(run.short) draws"
          + " \(side) x \(side) pixels: scale or cut the picture to that size")
    }
    let purification = Purification(
      inverting: try invertsWithBase ? baseModel(of: run) : edited, drawing: edited, settings: settings, prompt: prompt)
    let result = try purification(picture, progress: monitor.progress, isCancelled: monitor.isCancelled)
    // Weights show the memory of their files: what was drawn from a model that changed meanwhile is of neither.
    try models.confirmUnchanged()
    return result
  }

  /// The prompt that purification takes where nobody says what the picture shows: the concepts that the run erases.
  ///
  /// - Throws: ``ReproductionError`` for a run that erases none, or whose base model is not what it was.
  public func purificationPrompt(of run: Digest) throws -> String {
    let concepts = try point(of: store.run(run), run: run).technique.erasedConcepts
    guard !concepts.isEmpty else {
      throw ReproductionError("run \(run.short) erases no concept, so --prompt has to say what the picture shows")
    }
    return concepts.joined(separator: ", ")
  }
}
