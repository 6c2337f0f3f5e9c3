public import Diffusion
public import Store
public import Tensors

extension Runner {
  /// Draws a picture again with the edited model of a past run, from the noise that DDIM inversion finds for it: what
  /// the edit has erased should be gone, and the rest still there.
  ///
  /// - Parameters:
  ///   - prompt: of inversion and drawing: the empty one, or the erased concept
  ///   - invertsWithBase: whether the unedited model finds the noise, and not the edited one
  ///   - monitor: progress in steps
  /// - Throws: ``ReproductionError`` for a run without an edit, `SamplingError` for a picture that the model cannot take.
  public func purify(
    _ picture: RGBImage, by run: Digest, prompt: String, invertsWithBase: Bool, monitor: WorkMonitor
  ) throws -> Purification.Result {
    let (edited, settings) = try model(of: run)
    let purification = Purification(
      inverting: try invertsWithBase ? baseModel(of: run) : edited, drawing: edited, settings: settings, prompt: prompt)
    return try purification(picture, progress: monitor.progress, isCancelled: monitor.isCancelled)
  }
}
