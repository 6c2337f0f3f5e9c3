internal import GRDB

extension RunIndex {
  /// The runs that pass the filter, the latest first; 10,000 of them in some tens of milliseconds.
  public func list(_ filter: RunFilter = RunFilter()) throws(StoreError) -> [RunRow] {
    try read { try Self.rows(filter, $0) }
  }

  /// The runs that pass the filter with all that the index knows of them, the latest first.
  public func facts(_ filter: RunFilter = RunFilter()) throws(StoreError) -> [RunFacts] {
    try read { try Self.facts(of: try Self.rows(filter, $0), $0) }
  }

  /// The runs with an output of these bytes, the latest first.
  public func runs(withOutput digest: Digest) throws(StoreError) -> [RunRow] {
    try read { database in
      try Self.rows(database, "WHERE run_id IN (SELECT run_id FROM output WHERE digest = ?)", [digest.hex])
    }
  }

  /// The runs in which the stage of this key took part, the latest first.
  public func runs(withStage key: Digest) throws(StoreError) -> [RunRow] {
    try read { database in
      try Self.rows(database, "WHERE run_id IN (SELECT run_id FROM stage WHERE key = ?)", [key.hex])
    }
  }

  /// The config hashes that begin with `prefix`, sorted.
  func configHashes(prefix: String) throws(StoreError) -> [Digest] {
    try read { database in
      // A range rather than LIKE: it uses the index, and `g` is the first character after the hexadecimal digits.
      try String.fetchAll(
        database,
        sql: "SELECT DISTINCT config_hash FROM run WHERE config_hash >= ? AND config_hash < ? ORDER BY config_hash",
        arguments: [prefix, prefix + "g"]
      ).map { try Self.digest($0) }
    }
  }

  // MARK: Rows

  private static func facts(of rows: [RunRow], _ database: Database) throws -> [RunFacts] {
    // A few runs are asked one by one; many are cheaper in one sweep over each table.
    let only = rows.count <= 100 ? rows.map(\.runID.hex) : nil
    let tags = try children(database, "SELECT run_id, tag FROM tag", only) { $0[1] as String }
    let metrics = try children(
      database, "SELECT run_id, name, value, direction, unit, count, judge FROM metric", only
    ) { MetricRow(name: $0[1], value: $0[2], direction: $0[3], unit: $0[4], count: $0[5], judge: $0[6]) }
    let outputs = try children(database, "SELECT run_id, name, digest FROM output", only) {
      OutputRow(name: $0[1], digest: try digest($0[2]))
    }
    let stages = try children(database, "SELECT run_id, name, key, cached, seconds FROM stage", only) {
      StageRow(name: $0[1], key: try digest($0[2]), cached: $0[3], seconds: $0[4])
    }
    return rows.map { row in
      RunFacts(
        run: row, tags: tags[row.runID] ?? [], metrics: metrics[row.runID] ?? [], outputs: outputs[row.runID] ?? [],
        stages: stages[row.runID] ?? [])
    }
  }

  private static func rows(_ filter: RunFilter, _ database: Database) throws -> [RunRow] {
    var conditions: [String] = []
    var arguments: [String] = []
    func require(_ condition: String, _ value: String?) {
      guard let value else { return }
      conditions.append(condition)
      arguments.append(value)
    }
    require("technique = ?", filter.technique)
    require("experiment = ?", filter.experiment)
    require("status = ?", filter.status)
    require("config_hash = ?", filter.configHash?.hex)
    require("run_id IN (SELECT run_id FROM tag WHERE tag = ?)", filter.tag)
    let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
    return try rows(database, clause, arguments, limit: filter.limit)
  }

  private static func rows(
    _ database: Database, _ clause: String, _ arguments: [String], limit: Int? = nil
  ) throws -> [RunRow] {
    let sql = """
      SELECT run_id, config_hash, group_hash, experiment, technique, seed, status, error, started, finished, settings
      FROM run \(clause) ORDER BY started DESC, run_id DESC \(limit.map { "LIMIT \(max(0, $0))" } ?? "")
      """
    var rows: [RunRow] = []
    let cursor = try Row.fetchCursor(database, sql: sql, arguments: StatementArguments(arguments))
    while let row = try cursor.next() {
      rows.append(
        RunRow(
          runID: try digest(row[0]), configHash: try digest(row[1]), groupHash: try digest(row[2]), experiment: row[3],
          technique: row[4], seed: row[5], status: row[6], error: row[7], started: row[8], finished: row[9],
          settings: row[10]))
    }
    return rows
  }

  private static func children<Child>(
    _ database: Database, _ select: String, _ only: [String]?, _ make: (Row) throws -> Child
  ) throws -> [Digest: [Child]] {
    var clause = ""
    if let only { clause = "WHERE run_id IN (\(only.map { _ in "?" }.joined(separator: ",")))" }
    let cursor = try Row.fetchCursor(
      database, sql: "\(select) \(clause) ORDER BY run_id, position", arguments: StatementArguments(only ?? []))
    var children: [Digest: [Child]] = [:]
    while let row = try cursor.next() { children[try digest(row[0]), default: []].append(try make(row)) }
    return children
  }

  private static func digest(_ hex: String) throws -> Digest {
    guard let digest = Digest(hex: hex) else {
      throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a hash in it is no hash")
    }
    return digest
  }
}
