internal import CKernels
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The threads that share parallel loops with their caller.
///
/// A pass through a network is hundreds of short loops in a row. A thread that has finished one waits for the next with
/// its eyes open for some time before it goes to sleep: to wake it up would take as long as a small layer does.
final class WorkerPool: Sendable {
  static let shared = WorkerPool()

  /// How often a thread looks for work, or for the end of a loop, before it lets others have the core.
  private static let patience = 5_000

  /// One loop: what its threads do, and how many of the pool's are to take part.
  private struct Loop {
    let body: @Sendable () -> Void
    let helpers: Int
  }

  /// Whether a loop is running; loops of other threads meanwhile run on their caller alone.
  private let isBusy = Atomic<Bool>(false)
  /// Grows by one with each loop.
  private let generation = Atomic<Int>(0)
  /// Threads of the pool that have not finished the present loop.
  private let running = Atomic<Int>(0)
  private let sleeping = Atomic<Int>(0)
  nonisolated(unsafe) private var loop: Loop?
  nonisolated(unsafe) private var threadCount = 0
  nonisolated(unsafe) private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  nonisolated(unsafe) private let alarm = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  private init() {
    pthread_mutex_init(lock, nil)
    pthread_cond_init(alarm, nil)
  }

  /// Runs `body` on the caller's thread and on `helpers` threads of the pool, and returns when all have finished.
  func run(helpers: Int, _ body: @escaping @Sendable () -> Void) {
    guard isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else { return body() }
    while threadCount < helpers { startThread() }
    loop = Loop(body: body, helpers: helpers)
    running.store(threadCount, ordering: .relaxed)
    generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
    if sleeping.load(ordering: .sequentiallyConsistent) > 0 {
      pthread_mutex_lock(lock)
      pthread_cond_broadcast(alarm)
      pthread_mutex_unlock(lock)
    }
    body()
    var looks = 0
    while running.load(ordering: .acquiring) > 0 {
      looks += 1
      if looks < WorkerPool.patience { lethe_pause() } else { usleep(20) }
    }
    loop = nil
    isBusy.store(false, ordering: .releasing)
  }

  private func startThread() {
    let start = StartOfThread(pool: self, number: threadCount, generation: generation.load(ordering: .relaxed))
    #if canImport(Glibc)
      var thread = pthread_t()
    #else
      var thread: pthread_t?
    #endif
    let failure = pthread_create(
      &thread, nil,
      { argument in
        #if canImport(Glibc)
          let start = Unmanaged<StartOfThread>.fromOpaque(argument!).takeRetainedValue()
        #else
          let start = Unmanaged<StartOfThread>.fromOpaque(argument).takeRetainedValue()
        #endif
        start.pool.work(start.number, since: start.generation)
      }, Unmanaged.passRetained(start).toOpaque())
    precondition(failure == 0, "no further thread can be started: \(String(cString: strerror(failure)))")
    pthread_detach(thread)
    threadCount += 1
  }

  private final class StartOfThread: Sendable {
    let pool: WorkerPool
    let number: Int
    let generation: Int

    init(pool: WorkerPool, number: Int, generation: Int) {
      (self.pool, self.number, self.generation) = (pool, number, generation)
    }
  }

  private func work(_ number: Int, since generation: Int) -> Never {
    var seen = generation
    while true {
      seen = nextGeneration(after: seen)
      if let loop, number < loop.helpers { loop.body() }
      running.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }
  }

  private func nextGeneration(after seen: Int) -> Int {
    for _ in 0..<WorkerPool.patience {
      let now = generation.load(ordering: .acquiring)
      if now != seen { return now }
      lethe_pause()
    }
    pthread_mutex_lock(lock)
    sleeping.wrappingAdd(1, ordering: .sequentiallyConsistent)
    var now = generation.load(ordering: .sequentiallyConsistent)
    while now == seen {
      pthread_cond_wait(alarm, lock)
      now = generation.load(ordering: .sequentiallyConsistent)
    }
    sleeping.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(lock)
    return now
  }
}
