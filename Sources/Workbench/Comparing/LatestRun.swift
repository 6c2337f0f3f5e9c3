public import Store

extension Store {
  /// The run that a name means: the run itself, or the latest one of a config, a finished one before any other.
  ///
  /// - Throws: `StoreError` where the name means nothing, several things, or something that is no run.
  public func latestRun(named text: String) throws(StoreError) -> Digest {
    switch try resolve(text) {
    case .run(let run): return run
    case .config(let config):
      let runs = try index().list(RunFilter(configHash: config))
      let latest = runs.first { $0.status == RunRecord.Status.finished.rawValue } ?? runs.first
      guard let latest else { throw StoreError(.unknownName, "no run has the config \(config)") }
      return latest.runID
    case .stage(let key):
      throw StoreError(.unknownName, "\(text) is the stage \(key.short), where a run is expected")
    case .object(let digest):
      throw StoreError(.unknownName, "\(text) is the object \(digest.short), where a run is expected")
    }
  }
}
