internal import Store

/// The git state around an experiment file or a recipe, its patch kept in the store.
struct Sources {
  var git: GitState
  var warnings: [String]

  init(around file: String, store: Store) throws(StoreError) {
    let patch: [UInt8]
    do throws(GitError) {
      let snapshot = try GitSnapshot(around: file, leavingOut: store.folder)
      git = snapshot.state
      warnings = snapshot.warnings
      patch = snapshot.patch
    } catch {
      // A repository that cannot be read is no reason to lose a result.
      git = GitState(repository: .none)
      warnings = [error.description]
      patch = []
    }
    if !patch.isEmpty { try store.objects.add(patch) }
  }
}
