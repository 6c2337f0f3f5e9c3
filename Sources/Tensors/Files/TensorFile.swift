internal import Configuration

/// A file of tensors, whichever kind it is: safetensors where its name ends so, and otherwise PyTorch's.
public enum TensorFile {
  case safetensors(SafetensorsFile)
  case torch(TorchFile)

  /// The endings of the names of files that PyTorch writes.
  public static let torchEndings = [".bin", ".pt", ".pth", ".ckpt"]

  /// Whether a name ends as files of tensors do.
  public static func isNamed(_ path: String) -> Bool {
    isSafetensors(path) || torchEndings.contains(where: path.lowercased().hasSuffix)
  }

  private static func isSafetensors(_ path: String) -> Bool { path.lowercased().hasSuffix(".safetensors") }

  /// - Throws: `SafetensorsError` or `FileError` where the file is missing, truncated or none of tensors.
  public init(_ path: String) throws {
    self = Self.isSafetensors(path) ? .safetensors(try SafetensorsFile(path)) : .torch(try TorchFile(path))
  }

  public var path: String {
    switch self {
    case .safetensors(let file): file.path
    case .torch(let file): file.path
    }
  }

  /// The names of all tensors, sorted.
  public var names: [String] {
    switch self {
    case .safetensors(let file): file.names
    case .torch(let file): file.names
    }
  }

  /// The tensors that are passed over, by name.
  public var unread: [String: UnreadTensor] {
    switch self {
    case .safetensors(let file): file.unread
    case .torch(let file): file.unread
    }
  }

  /// The free text beside the tensors.
  public var metadata: [String: String] {
    switch self {
    case .safetensors(let file): file.metadata
    case .torch(let file): file.metadata
    }
  }

  public func contains(_ name: String) -> Bool {
    switch self {
    case .safetensors(let file): file.contains(name)
    case .torch(let file): file.contains(name)
    }
  }

  /// - Throws: `SafetensorsError` or `FileError` where the file has no tensor of that name.
  public func shape(of name: String) throws -> [Int] {
    switch self {
    case .safetensors(let file): try file.shape(of: name)
    case .torch(let file): try file.shape(of: name)
    }
  }

  /// How the file keeps a tensor's values.
  public func element(of name: String) throws -> TensorElement {
    switch self {
    case .safetensors(let file): try file.element(of: name)
    case .torch(let file): try file.element(of: name)
    }
  }

  private func tensor(_ name: String, isShown: Bool) throws -> Tensor {
    switch self {
    case .safetensors(let file): try file.tensor(name, isShown: isShown)
    case .torch(let file): try file.tensor(name, isShown: isShown)
    }
  }

  /// The file's tensors, by name, once all their values are known to be numbers.
  ///
  /// - Parameters:
  ///   - isMapped: whether tensors that the file has in float32 show its own memory. It is read once and shared with
  ///     the system's own copy, but whoever writes over the file changes them: see ``FileStamp``.
  ///   - isWanted: the names to read; all by default
  /// - Throws: ``WeightsError`` naming tensor and file where a value is infinite or not a number, and the errors of a
  ///   file that changed while it was read.
  public func finiteTensors(
    isMapped: Bool = false, where isWanted: (String) -> Bool = { _ in true }
  ) throws -> [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for name in names where isWanted(name) {
      let tensor = try tensor(name, isShown: isMapped)
      guard tensor.isFinite else {
        throw WeightsError(description: "\(path): '\(name)' has values that are infinite or not a number")
      }
      tensors[name] = tensor
    }
    switch self {
    case .safetensors(let file): try file.confirmUnchanged()
    case .torch(let file): try file.confirmUnchanged()
    }
    return tensors
  }
}

extension Tensor {
  /// Whether no value is infinite or not a number.
  public var isFinite: Bool {
    let piece = 1 << 18
    var isFinite = [Bool](repeating: true, count: (count + piece - 1) / piece)
    isFinite.withUnsafeMutableBufferPointer { results in
      withUnsafeValues { values in
        nonisolated(unsafe) let results = results
        parallelFor(results.count) { index in
          let part = UnsafeBufferPointer(rebasing: values[(index * piece)..<min((index + 1) * piece, values.count)])
          // An exponent of all ones, and no other, carries into the sign when one is added to it. No branch, so that
          // the loop runs as fast as the memory.
          var carries: UInt32 = 0
          for value in part { carries |= (value.bitPattern & 0x7fff_ffff) &+ 0x0080_0000 }
          results[index] = carries & 0x8000_0000 == 0
        }
      }
    }
    return isFinite.allSatisfy { $0 }
  }
}
