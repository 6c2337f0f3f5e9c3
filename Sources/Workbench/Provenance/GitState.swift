public import Store

/// The state of the git repository around an experiment: what a run must know to be run again from the same sources.
public struct GitState: Equatable, Sendable {
  /// What was found around the experiment.
  public enum Repository: String, CaseIterable, Sendable {
    /// A repository with at least one commit on the current branch.
    case present
    /// A repository whose current branch has no commit yet.
    case unborn
    /// No repository.
    case none
  }

  /// A file that is too large for the patch: it is known by its digest instead.
  public struct OmittedFile: Equatable, Sendable {
    /// Relative to the repository's root.
    public let path: String
    public let bytes: Int
    public let digest: Digest

    public init(path: String, bytes: Int, digest: Digest) {
      self.path = path
      self.bytes = bytes
      self.digest = digest
    }
  }

  public var repository: Repository
  /// The commit's id in hexadecimal.
  public var commit: String?
  /// The branch's short name; nil where HEAD is detached.
  public var branch: String?
  /// Whether anything differs from the commit: staged or not, untracked files included, ignored ones not.
  public var isDirty: Bool
  /// The digest of the patch that leads from the commit to the files as they were; nil if there is nothing to patch.
  public var patch: Digest?
  /// Changed files that the patch leaves out, by path.
  public var omitted: [OmittedFile]

  public init(
    repository: Repository, commit: String? = nil, branch: String? = nil, isDirty: Bool = false, patch: Digest? = nil,
    omitted: [OmittedFile] = []
  ) {
    self.repository = repository
    self.commit = commit
    self.branch = branch
    self.isDirty = isDirty
    self.patch = patch
    self.omitted = omitted
  }
}

/// A git repository that cannot be read, as one sentence.
public struct GitError: Error, Equatable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) {
    self.description = description
  }
}
