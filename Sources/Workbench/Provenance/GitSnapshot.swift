import CLibGit2
import Glibc
internal import Store

/// The git state around a path, together with the patch that its digest stands for.
public struct GitSnapshot: Sendable {
  public let state: GitState
  /// What `git apply` turns the commit into the files as they are with, binary files included; empty if nothing
  /// differs. On an unborn branch the patch starts from nothing.
  public let patch: [UInt8]
  /// Sentences for the user: no repository, no commit yet, files left out of the patch.
  public let warnings: [String]

  /// Files above this size are left out of the patch and known by their digest alone: a patch is for sources.
  public static let largestPatchedFile = 4 << 20

  /// Reads the state of the repository that encloses `path` (a file or a folder). Changes nothing there.
  ///
  /// - Parameter store: a folder of results, which are no sources: files in it that git does not track are no changes.
  /// - Throws: ``GitError`` if there is a repository that cannot be read, for example because another user owns it.
  public init(
    around path: String, leavingOut store: String? = nil, largestPatchedFile: Int = Self.largestPatchedFile
  ) throws(GitError) {
    guard let repository = try Repository(around: path) else {
      state = GitState(repository: .none)
      patch = []
      warnings = ["\(path) is in no git repository: the run records no commit and no changes"]
      return
    }
    let head = try repository.head()
    var warnings: [String] = []
    if head.commit == nil {
      warnings.append("the branch \(head.branch ?? "?") has no commit yet: the run records all files as a patch")
    }
    guard repository.hasFiles else {
      state = GitState(
        repository: head.commit == nil ? .unborn : .present, commit: head.commit, branch: head.branch)
      patch = []
      self.warnings = warnings
      return
    }
    let changes = try repository.changes(from: head.tree, leavingOut: store, largestPatchedFile: largestPatchedFile)
    if !changes.omitted.isEmpty {
      let names = changes.omitted.prefix(3).map(\.path).joined(separator: ", ")
      let rest = changes.omitted.count > 3 ? " and \(changes.omitted.count - 3) more" : ""
      warnings.append("too large for the recorded patch, and known by their digests alone: \(names)\(rest)")
    }
    patch = changes.patch
    state = GitState(
      repository: head.commit == nil ? .unborn : .present, commit: head.commit, branch: head.branch,
      isDirty: !changes.patch.isEmpty || !changes.omitted.isEmpty,
      patch: changes.patch.isEmpty ? nil : Digest(hashing: changes.patch), omitted: changes.omitted)
    self.warnings = warnings
  }
}

/// An open repository of libgit2, freed with the value.
private struct Repository: ~Copyable {
  private let pointer: OpaquePointer

  /// Started once and never shut down: other threads may be using it.
  private static let isStarted: Bool = git_libgit2_init() > 0

  /// The repository that encloses `path`; nil if there is none.
  init?(around path: String) throws(GitError) {
    guard Self.isStarted else { throw GitError("libgit2 cannot be started: \(gitReason())") }
    var found = git_buf()
    defer { git_buf_dispose(&found) }
    let code = git_repository_discover(&found, folder(of: path), 0, nil)
    if code == GIT_ENOTFOUND.rawValue { return nil }
    guard code == 0, let ptr = found.ptr else {
      throw refusal(path, code)
    }
    var opened: OpaquePointer?
    let openCode = git_repository_open(&opened, ptr)
    guard openCode == 0, let opened else { throw refusal(String(cString: ptr), openCode) }
    pointer = opened
  }

  deinit { git_repository_free(pointer) }

  /// Whether there are files beside the history: not so in a bare repository.
  var hasFiles: Bool { git_repository_is_bare(pointer) == 0 }

  struct Head: ~Copyable {
    var commit: String?
    var branch: String?
    var tree: OpaquePointer?

    deinit { git_tree_free(tree) }
  }

  /// Where HEAD points; without commit and tree on an unborn branch.
  func head() throws(GitError) -> Head {
    var reference: OpaquePointer?
    let code = git_repository_head(&reference, pointer)
    if code == GIT_EUNBORNBRANCH.rawValue || code == GIT_ENOTFOUND.rawValue {
      return Head(commit: nil, branch: unbornBranch(), tree: nil)
    }
    guard code == 0, let reference else { throw GitError("cannot read the HEAD of \(name): \(gitReason())") }
    defer { git_reference_free(reference) }
    var commit: OpaquePointer?
    guard git_reference_peel(&commit, reference, GIT_OBJECT_COMMIT) == 0, let commit else {
      throw GitError("cannot read the commit at the HEAD of \(name): \(gitReason())")
    }
    defer { git_object_free(commit) }
    var tree: OpaquePointer?
    guard git_commit_tree(&tree, commit) == 0 else {
      throw GitError("cannot read the files of the commit at the HEAD of \(name): \(gitReason())")
    }
    let isDetached = git_repository_head_detached(pointer) == 1
    return Head(
      commit: git_oid_tostr_s(git_object_id(commit)).map { String(cString: $0) },
      branch: isDetached ? nil : git_reference_shorthand(reference).map { String(cString: $0) }, tree: tree)
  }

  private func unbornBranch() -> String? {
    var reference: OpaquePointer?
    guard git_reference_lookup(&reference, pointer, "HEAD") == 0 else { return nil }
    defer { git_reference_free(reference) }
    guard let target = git_reference_symbolic_target(reference).map({ String(cString: $0) }) else { return nil }
    return target.hasPrefix("refs/heads/") ? String(target.dropFirst("refs/heads/".count)) : target
  }

  private var name: String {
    git_repository_path(pointer).map { String(cString: $0) } ?? "the git repository"
  }

  // MARK: Changes

  /// What differs between `tree` (nil stands for nothing at all) and the files, with the index as a bystander.
  func changes(
    from tree: OpaquePointer?, leavingOut store: String?, largestPatchedFile: Int
  ) throws(GitError) -> (patch: [UInt8], omitted: [GitState.OmittedFile]) {
    var options = git_diff_options()
    guard git_diff_options_init(&options, UInt32(GIT_DIFF_OPTIONS_VERSION)) == 0 else {
      throw GitError("libgit2 is of another version than Lethe was built for")
    }
    options.flags =
      GIT_DIFF_INCLUDE_UNTRACKED.rawValue | GIT_DIFF_RECURSE_UNTRACKED_DIRS.rawValue
      | GIT_DIFF_SHOW_UNTRACKED_CONTENT.rawValue | GIT_DIFF_SHOW_BINARY.rawValue
      | GIT_DIFF_INCLUDE_TYPECHANGE.rawValue
    // The patch must not depend on the user's diff settings.
    options.context_lines = 3
    options.id_abbrev = 40

    let root = git_repository_workdir(pointer).map { String(cString: $0) } ?? ""
    let filter = PatchFilter(root: root, store: store, limit: largestPatchedFile)
    options.payload = Unmanaged.passUnretained(filter).toOpaque()
    options.notify_cb = { _, delta, _, payload in
      guard let payload, let delta, let path = delta.pointee.new_file.path else { return 0 }
      let filter = Unmanaged<PatchFilter>.fromOpaque(payload).takeUnretainedValue()
      // A positive answer leaves the file out of the diff.
      return filter.leavesOut(String(cString: path), isTracked: delta.pointee.status != GIT_DELTA_UNTRACKED) ? 1 : 0
    }
    var diff: OpaquePointer?
    let code = "a".withCString { old in
      "b".withCString { new in
        // Named, for else `diff.noprefix` and `diff.mnemonicPrefix` decide.
        options.old_prefix = old
        options.new_prefix = new
        return withExtendedLifetime(filter) { git_diff_tree_to_workdir_with_index(&diff, pointer, tree, &options) }
      }
    }
    guard code == 0, let diff else {
      throw GitError("cannot compare the files of \(root) with its commit: \(gitReason())")
    }
    defer { git_diff_free(diff) }
    var buffer = git_buf()
    defer { git_buf_dispose(&buffer) }
    guard git_diff_to_buf(&buffer, diff, GIT_DIFF_FORMAT_PATCH) == 0 else {
      throw GitError("cannot write the changes in \(root) as a patch: \(gitReason())")
    }
    let patch = Array(UnsafeRawBufferPointer(start: buffer.ptr, count: buffer.size))
    return (patch, try filter.omitted())
  }
}

/// Decides which files a patch leaves out: results, and those that are too large, which it collects.
private final class PatchFilter {
  private let root: String
  /// The folder of the store below the root, with a slash at its end; nil where it lies elsewhere.
  private let store: String?
  private let limit: Int
  private var paths: Set<String> = []

  init(root: String, store: String?, limit: Int) {
    self.root = root
    self.limit = limit
    let resolved = store.flatMap { realpath($0, nil) }
    defer { free(resolved) }
    let path = resolved.map { String(cString: $0) + "/" }
    self.store = path.flatMap { $0.hasPrefix(root) ? String($0.dropFirst(root.count)) : nil }
  }

  func leavesOut(_ path: String, isTracked: Bool) -> Bool {
    if !isTracked, let store, path.hasPrefix(store) { return true }
    var information = stat()
    guard lstat(root + path, &information) == 0, information.st_mode & S_IFMT == S_IFREG,
      Int(information.st_size) > limit
    else { return false }
    paths.insert(path)
    return true
  }

  func omitted() throws(GitError) -> [GitState.OmittedFile] {
    var files: [GitState.OmittedFile] = []
    for path in paths.sorted() {
      do throws(StoreError) {
        let (digest, bytes) = try Digest.ofFile(at: root + path)
        files.append(GitState.OmittedFile(path: path, bytes: bytes, digest: digest))
      } catch {
        throw GitError(error.message)
      }
    }
    return files
  }
}

/// The nearest folder at or above `path` that is there.
private func folder(of path: String) -> String {
  var path = path
  while true {
    var information = stat()
    if stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR { return path }
    guard let slash = path.lastIndex(of: "/") else { return "." }
    if slash == path.startIndex { return "/" }
    path = String(path[..<slash])
  }
}

private func gitReason() -> String {
  guard let error = git_error_last(), let message = error.pointee.message else { return "libgit2 gives no reason" }
  return String(cString: message)
}

/// The sentence for a repository that is there and cannot be opened.
private func refusal(_ path: String, _ code: Int32) -> GitError {
  let reason = gitReason()
  var root = path
  while root.hasSuffix("/") && root.count > 1 { root.removeLast() }
  if root.hasSuffix("/.git") { root.removeLast("/.git".count) }
  // libgit2 1.5 answers a foreign owner with "config value 'safe.directory' was not found" where no git config has one.
  if code == GIT_EOWNER.rawValue || reason.contains("safe.directory") {
    return GitError(
      "the git repository \(root) belongs to another user; allow it with: "
        + "git config --global --add safe.directory \(root)")
  }
  return GitError("cannot open the git repository \(root): \(reason)")
}
