internal import GRDB

/// The tables of the index, as a list of named migrations to which later versions only append.
enum IndexSchema {
  static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1 runs and what they brought") { database in
      try database.execute(
        sql: """
          CREATE TABLE run (
            run_id TEXT PRIMARY KEY NOT NULL,
            config_hash TEXT NOT NULL,
            group_hash TEXT NOT NULL,
            experiment TEXT NOT NULL,
            technique TEXT NOT NULL,
            seed INTEGER,
            status TEXT NOT NULL,
            error TEXT,
            started TEXT NOT NULL,
            finished TEXT NOT NULL,
            settings TEXT NOT NULL
          ) WITHOUT ROWID;
          CREATE INDEX run_by_config ON run (config_hash);
          CREATE INDEX run_by_group ON run (group_hash);
          CREATE INDEX run_by_technique ON run (technique);
          CREATE INDEX run_by_experiment ON run (experiment);
          CREATE INDEX run_by_start ON run (started, run_id);

          CREATE TABLE tag (
            run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
            tag TEXT NOT NULL,
            position INTEGER NOT NULL,
            PRIMARY KEY (run_id, position)
          ) WITHOUT ROWID;
          CREATE INDEX tag_by_name ON tag (tag);

          CREATE TABLE metric (
            run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            value REAL,
            direction TEXT NOT NULL,
            unit TEXT NOT NULL,
            count INTEGER,
            judge TEXT,
            PRIMARY KEY (run_id, position)
          ) WITHOUT ROWID;
          CREATE INDEX metric_by_name ON metric (name);

          CREATE TABLE output (
            run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            digest TEXT NOT NULL,
            PRIMARY KEY (run_id, position)
          ) WITHOUT ROWID;
          CREATE INDEX output_by_digest ON output (digest);

          CREATE TABLE stage (
            run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            key TEXT NOT NULL,
            cached INTEGER NOT NULL,
            seconds REAL NOT NULL,
            PRIMARY KEY (run_id, position)
          ) WITHOUT ROWID;
          CREATE INDEX stage_by_key ON stage (key);
          """)
    }
    migrator.registerMigration("2 no indexes that nobody asks") { database in
      try database.execute(sql: "DROP INDEX run_by_group; DROP INDEX metric_by_name")
    }
    return migrator
  }

  static let tables = ["run", "tag", "metric", "output", "stage"]
}
