import Foundation
import Store
import Testing
import Workbench

@Suite struct GitSnapshotTests {
  @Test func aCleanRepositoryIsItsCommitAndBranch() throws {
    let repository = try TemporaryRepository()
    try repository.write("experiments/ssd.json", "{}")
    try repository.commit()
    let snapshot = try GitSnapshot(around: repository.path + "/experiments/ssd.json")
    let commit = try repository.git("rev-parse", "HEAD")
    #expect(snapshot.state == GitState(repository: .present, commit: commit, branch: "main"))
    #expect(snapshot.patch.isEmpty && snapshot.warnings.isEmpty)
  }

  @Test func thePatchTurnsTheCommitIntoTheFilesAsTheyAre() throws {
    let repository = try TemporaryRepository()
    try repository.write("kept.txt", "as it was\n")
    try repository.write("changed.txt", "one\ntwo\n")
    try repository.write("staged.txt", "one\n")
    try repository.write("removed.txt", "gone\n")
    try repository.write("image.bin", [0, 1, 2, 255])
    try repository.commit()
    try repository.write("changed.txt", "one\n2\n")
    try repository.write("staged.txt", "two\n")
    try repository.git("add", "staged.txt")
    try FileManager.default.removeItem(atPath: repository.path + "/removed.txt")
    try repository.write("image.bin", [9, 0, 8, 0, 7])
    try repository.write("new/untracked.txt", "never added\n")
    try repository.write("new/untracked.bin", [0, 0, 1])

    let snapshot = try GitSnapshot(around: repository.path)
    #expect(snapshot.state.isDirty)
    #expect(snapshot.state.patch == Digest(hashing: snapshot.patch))

    let copy = try TemporaryRepository(initialized: false)
    try copy.git("clone", "--quiet", repository.path, ".")
    try copy.git("apply", "-", input: snapshot.patch)
    for file in ["kept.txt", "changed.txt", "staged.txt", "image.bin", "new/untracked.txt", "new/untracked.bin"] {
      #expect(try copy.read(file) == repository.read(file), "\(file)")
    }
    #expect(!FileManager.default.fileExists(atPath: copy.path + "/removed.txt"))
  }

  @Test func equalFilesGiveEqualPatches() throws {
    let repository = try TemporaryRepository()
    try repository.write("a.txt", "one\n")
    try repository.commit()
    try repository.write("a.txt", "two\n")
    let first = try GitSnapshot(around: repository.path)
    try repository.git("config", "diff.context", "9")
    try repository.git("config", "diff.noprefix", "true")
    #expect(try GitSnapshot(around: repository.path).patch == first.patch)
  }

  @Test func ignoredFilesAreNoPartOfTheState() throws {
    let repository = try TemporaryRepository()
    try repository.write(".gitignore", "/store/\n")
    try repository.commit()
    try repository.write("store/index.sqlite", "anything")
    #expect(try !GitSnapshot(around: repository.path).state.isDirty)
  }

  @Test func aLargeFileIsKnownByItsDigestAndNamedInAWarning() throws {
    let repository = try TemporaryRepository()
    try repository.write("weights.bin", [1])
    try repository.commit()
    let large = [UInt8](repeating: 7, count: 5000)
    try repository.write("weights.bin", large)
    try repository.write("latents.bin", large)
    try repository.write("small.txt", "small\n")
    let snapshot = try GitSnapshot(around: repository.path, largestPatchedFile: 4000)
    let digest = Digest(hashing: large)
    #expect(
      snapshot.state.omitted
        == ["latents.bin", "weights.bin"].map {
          GitState.OmittedFile(path: $0, bytes: 5000, digest: digest)
        })
    #expect(snapshot.state.isDirty)
    #expect(String(decoding: snapshot.patch, as: UTF8.self).contains("small.txt"))
    #expect(
      snapshot.warnings == [
        "too large for the recorded patch, and known by their digests alone: latents.bin, weights.bin"
      ])
  }

  @Test func noRepositoryIsRecordedAsSuchWithOneWarning() throws {
    let folder = try TemporaryRepository(initialized: false)
    let snapshot = try GitSnapshot(around: folder.path + "/ssd.json")
    #expect(snapshot.state == GitState(repository: .none))
    #expect(
      snapshot.warnings == [
        "\(folder.path)/ssd.json is in no git repository: the run records no commit and no changes"
      ])
  }

  @Test func anUnbornBranchIsToleratedAndItsFilesAreThePatch() throws {
    let repository = try TemporaryRepository()
    try repository.write("a.txt", "one\n")
    let snapshot = try GitSnapshot(around: repository.path)
    #expect(snapshot.state.repository == .unborn)
    #expect(snapshot.state.commit == nil && snapshot.state.branch == "main" && snapshot.state.isDirty)
    #expect(snapshot.warnings.count == 1)
    let copy = try TemporaryRepository()
    try copy.git("apply", "-", input: snapshot.patch)
    #expect(try copy.read("a.txt") == Array("one\n".utf8))
  }

  @Test func aDetachedHeadHasNoBranch() throws {
    let repository = try TemporaryRepository()
    try repository.write("a.txt", "one\n")
    try repository.commit()
    try repository.git("checkout", "--quiet", "--detach")
    let state = try GitSnapshot(around: repository.path).state
    #expect(state.branch == nil && state.commit != nil && state.repository == .present)
  }

  @Test func aWorktreeIsARepositoryToo() throws {
    let repository = try TemporaryRepository()
    try repository.write("a.txt", "one\n")
    try repository.commit()
    let other = try TemporaryRepository(initialized: false)
    try repository.git("worktree", "add", "--quiet", "-b", "side", other.path + "/tree")
    #expect(try GitSnapshot(around: other.path + "/tree").state.branch == "side")
  }

  @Test func aDamagedRepositoryIsOneSentence() throws {
    let repository = try TemporaryRepository()
    try repository.write("a.txt", "one\n")
    try repository.commit()
    try repository.write(".git/HEAD", "ref: refs/heads/main\n")
    try repository.write(".git/refs/heads/main", String(repeating: "1", count: 40) + "\n")
    let error = try #require(throws: GitError.self) { try GitSnapshot(around: repository.path) }
    #expect(error.description.hasPrefix("cannot read the commit at the HEAD of \(repository.path)/.git/"))
    #expect(!error.description.contains("\n"))
  }

  /// Only root can give a repository away, so elsewhere this shows nothing.
  @Test(.enabled(if: geteuid() == 0))
  func aRepositoryOfAnotherUserIsOneSentenceWithTheRemedy() throws {
    let repository = try TemporaryRepository()
    try repository.write("a.txt", "one\n")
    try repository.commit()
    try repository.git("config", "core.filemode", "true")
    for name in ["", "/.git"] { #expect(chown(repository.path + name, 12345, 12345) == 0) }
    defer { for name in ["", "/.git"] { chown(repository.path + name, 0, 0) } }
    let error = try #require(throws: GitError.self) { try GitSnapshot(around: repository.path) }
    #expect(
      error.description
        == "the git repository \(repository.path) belongs to another user; allow it with: "
        + "git config --global --add safe.directory \(repository.path)")
  }
}
