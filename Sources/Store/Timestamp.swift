import Glibc

/// Times as the store writes them: UTC, ISO 8601 with microseconds, so that text order is time order.
public enum Timestamp {
  /// For example `2026-11-21T11:22:31.123456Z`.
  public static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var seconds = time.tv_sec
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func padded(_ value: Int, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let day = [padded(Int(parts.tm_year) + 1900, 4), padded(Int(parts.tm_mon) + 1, 2), padded(Int(parts.tm_mday), 2)]
    let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { padded(Int($0), 2) }
    let fraction = padded(time.tv_nsec / 1000, 6)
    return day.joined(separator: "-") + "T" + clock.joined(separator: ":") + "." + fraction + "Z"
  }
}
