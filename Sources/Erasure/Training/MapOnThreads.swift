internal import Tensors

/// Runs `body` for 0 ..< count: each on a thread of its own where there are enough for all threads, else one after the
/// other with the threads sharing the work inside each.
func mapOnThreads<Result>(_ count: Int, _ body: (Int) throws -> Result) throws -> [Result] {
  count >= Parallel.threadCount ? try parallelMap(count, body) : try (0..<count).map(body)
}
