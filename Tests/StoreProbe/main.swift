// A process of its own for the tests that need one: it writes to a store until it is done, or is killed.
//
//   store-probe write FOLDER WORKER COUNT   objects, a cache entry and a run record for each of COUNT items
//   store-probe list FOLDER                 prints how many runs there are, and how long listing them took
//   store-probe starve FOLDER KEY           asks for a cache entry when no more files can be opened

import Configuration
import Glibc
import Store

func reader(_ record: JSON, _ run: Digest) throws -> RunFacts {
  let name = record["name"]?.string ?? ""
  return RunFacts(
    run: RunRow(
      runID: run, configHash: Digest(hashing: name), groupHash: Digest(hashing: name), experiment: name,
      technique: "probe", seed: nil, status: "finished", error: nil, started: record["started"]?.string ?? "",
      finished: "", settings: "{}"),
    metrics: [MetricRow(name: "cer", value: 0.5, direction: "higher", unit: "", count: 1, judge: nil)])
}

func complain(_ sentence: String) {
  let line = sentence + "\n"
  _ = Glibc.write(2, line, line.utf8.count)
}

func write(_ store: Store, worker: Int, count: Int) throws {
  for item in 0..<count {
    let batch = ObjectBatch(store.objects)
    var set = TensorSet()
    // One tensor is common to all, one is this item's.
    try set.set("shared", shape: [4096], values: [Float](repeating: 1, count: 4096), in: batch)
    try set.set("own", shape: [2], values: [Float(worker), Float(item)], in: batch)
    let output = try set.write(in: batch)
    try batch.commit()
    let key = StageKey(stage: "probe", parts: ["worker": .integer(worker), "item": .integer(item)])
    try store.cache.put(CacheEntry(key: key, outputs: ["set": output], seconds: 0))
    try store.add(
      record: [
        "name": .string("worker \(worker) item \(item)"), "started": .string(Timestamp.now()),
        "outputs": [["name": "set", "digest": .string(output.hex)]],
      ])
  }
}

/// Asks for an entry that is there, and whole, when the process has no file descriptor left to read it with.
func starve(_ store: Store, key: Digest) throws {
  var limit = rlimit(rlim_cur: 0, rlim_max: 0)
  guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return complain("no limit") }
  do throws(StoreError) {
    _ = try store.cache.entry(key)
    complain("read all the same")
  } catch {
    complain(error.code.rawValue)
  }
}

do {
  let arguments = CommandLine.arguments
  guard arguments.count >= 3 else { throw StoreError(.unknownName, "usage: store-probe write|list|starve FOLDER ...") }
  let store = try Store(folder: arguments[2], reader: reader) { complain("warning: \($0)") }
  if arguments[1] == "write", arguments.count == 5, let worker = Int(arguments[3]), let count = Int(arguments[4]) {
    try write(store, worker: worker, count: count)
  } else if arguments[1] == "starve", arguments.count == 4, let key = Digest(hex: arguments[3]) {
    try starve(store, key: key)
  } else {
    let clock = ContinuousClock()
    let index = try store.index()
    var runs = 0
    let seconds = try clock.measure { runs = try index.list().count }
    print(runs, seconds)
  }
} catch {
  complain("\(error)")
  exit(1)
}
