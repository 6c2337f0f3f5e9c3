internal import CKernels
internal import COpenBLAS

#if canImport(Glibc)
  internal import Glibc
#endif

/// OpenBLAS as Lethe uses it, for matrices of float64 (``Matrix``): one thread inside each call, since a product that
/// OpenBLAS splits itself has other bits; parallel work is split outside, by ``parallelFor(_:_:)``. Networks run on
/// products of our own, ``MatrixProduct``.
public enum BLAS {
  static let ready: Void = openblas_set_num_threads(1)

  /// The set of kernels that OpenBLAS runs, for example `Haswell`; together with the version it decides the bits.
  public static var coreName: String { String(cString: openblas_get_corename()) }

  /// The version of OpenBLAS, for example `0.3.21`: the second word of its ``configuration``; nil if it is not there.
  public static var version: String? {
    let words = configuration.split(separator: " ")
    return words.count > 1 ? String(words[1]) : nil
  }

  /// What OpenBLAS says of its build, for example `OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...`. It is asked once:
  /// OpenBLAS puts the text together anew at every call, in one place for all threads.
  public static let configuration = String(cString: openblas_get_config())

  /// The kernels that this processor should run: OpenBLAS does not know processors younger than itself, and takes
  /// slow kernels for them.
  static var bestCore: String? {
    lethe_has_avx512() == 1 ? "SkylakeX" : lethe_has_avx2() == 1 ? "Haswell" : nil
  }

  /// Starts this program again with the kernels that suit the processor, where the environment does not name any.
  ///
  /// OpenBLAS reads its choice when it is loaded, before a program's first line, so that only a new start can change
  /// it. Returns where nothing is to be changed, or where the program cannot be started anew.
  public static func restartWithBestCore(_ arguments: [String]) {
    guard getenv("OPENBLAS_CORETYPE") == nil, let core = bestCore else { return }
    setenv("OPENBLAS_CORETYPE", core, 1)
    setenv("OPENBLAS_NUM_THREADS", "1", 1)
    var pointers = arguments.map { strdup($0) } + [nil]
    execv("/proc/self/exe", &pointers)
    pointers.forEach { free($0) }
  }
}
