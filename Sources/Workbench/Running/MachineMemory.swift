internal import Foundation

/// The memory of this machine, or what the system lets this process have of it.
public enum MachineMemory {
  /// Bytes.
  public static let total = limit(physical: Int(clamping: ProcessInfo.processInfo.physicalMemory))

  /// The least of the machine's memory and of the limits that control groups set for this process: a container's, for
  /// example. Beyond them the system ends the process.
  ///
  /// - Parameters:
  ///   - physical: bytes of the machine
  ///   - root: the folder that `proc` and `sys` lie in
  public static func limit(physical: Int, root: String = "") -> Int {
    let groups = (try? String(contentsOfFile: root + "/proc/self/cgroup", encoding: .utf8)) ?? ""
    var least = physical
    for line in groups.split(separator: "\n") {
      // "0::/path" of the one hierarchy of cgroups(7) version 2; "4:memory:/path" of version 1.
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let (folder, file): (String, String)
      if parts[0] == "0", parts[1].isEmpty {
        (folder, file) = ("/sys/fs/cgroup", "memory.max")
      } else if parts[1].split(separator: ",").contains("memory") {
        (folder, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
      } else {
        continue
      }
      // A limit holds for all groups below. Within a container the path of the host may lead nowhere.
      var path = parts[2]
      while true {
        let limit = try? String(contentsOfFile: "\(root)\(folder)\(path)/\(file)", encoding: .utf8)
        // "max" where there is none, or a number beyond any memory.
        if let bytes = limit.flatMap({ Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }), bytes > 0 {
          least = min(least, bytes)
        }
        guard let slash = path.lastIndex(of: "/") else { break }
        path = path[..<slash]
      }
    }
    return least
  }
}
