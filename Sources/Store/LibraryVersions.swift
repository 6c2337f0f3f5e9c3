import CCrypto
internal import GRDB

/// The versions of the system libraries that the store rests on, for a run's provenance.
public enum LibraryVersions {
  /// For example `3.40.1`; nil if SQLite cannot be asked.
  public static var sqlite: String? {
    try? DatabaseQueue().read { try String.fetchOne($0, sql: "SELECT sqlite_version()") }
  }

  /// For example `3.0.17`.
  public static var openSSL: String { String(cString: OpenSSL_version(OPENSSL_VERSION_STRING)) }
}
