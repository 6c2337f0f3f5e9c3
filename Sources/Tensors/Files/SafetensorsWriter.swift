internal import CKernels
internal import Configuration

/// Writes safetensors files.
public enum Safetensors {
  /// The bytes of a file with these tensors; the same tensors give the same bytes.
  ///
  /// - Parameters:
  ///   - tensors: named tensors, written in the order of their names
  ///   - metadata: free text beside the tensors; diffusers expects `format: pt`
  ///   - half: whether to keep float16 instead of float32, rounded to nearest
  public static func encode(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = ["format": "pt"], half: Bool = false
  ) -> [UInt8] {
    let sorted = tensors.sorted { $0.name < $1.name }
    let width = half ? 2 : 4
    var header: [String: JSON] = metadata.isEmpty ? [:] : ["__metadata__": .object(metadata.mapValues(JSON.string))]
    var offset = 0
    for (name, tensor) in sorted {
      let end = offset + tensor.count * width
      header[name] = .object([
        "dtype": .string(half ? "F16" : "F32"), "shape": .array(tensor.shape.map(JSON.integer)),
        "data_offsets": .array([.integer(offset), .integer(end)]),
      ])
      offset = end
    }
    var text = Array(JSON.object(header).canonical().utf8)
    while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    return [UInt8](unsafeUninitializedCapacity: 8 + text.count + offset) { bytes, count in
      let base = UnsafeMutableRawPointer(bytes.baseAddress!)
      base.storeBytes(of: UInt64(text.count).littleEndian, as: UInt64.self)
      (base + 8).copyMemory(from: text, byteCount: text.count)
      var target = base + 8 + text.count
      for (_, kept) in sorted {
        let tensor = kept.widened
        if half {
          lethe_to_half(tensor.pointer, target.assumingMemoryBound(to: UInt16.self), tensor.count)
        } else {
          target.copyMemory(from: tensor.pointer, byteCount: tensor.count * 4)
        }
        target += tensor.count * width
      }
      count = 8 + text.count + offset
    }
  }

  /// Writes a file of which a reader sees all or nothing.
  ///
  /// - Throws: `FileError` where the file cannot be written.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], to path: String, metadata: [String: String] = ["format": "pt"],
    half: Bool = false
  ) throws {
    try WholeFile.write(encode(tensors, metadata: metadata, half: half), to: path)
  }
}
