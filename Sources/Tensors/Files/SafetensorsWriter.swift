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
    var bytes: [UInt8] = []
    bytes.reserveCapacity(tensors.reduce(1 << 16) { $0 + $1.tensor.count * (half ? 2 : 4) })
    pieces(tensors, metadata, half) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// The same bytes piece by piece: the header, then each tensor.
  private static func pieces(
    _ tensors: [(name: String, tensor: Tensor)], _ metadata: [String: String], _ half: Bool,
    _ append: (UnsafeRawBufferPointer) -> Void
  ) {
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
    withUnsafeBytes(of: UInt64(text.count).littleEndian, append)
    text.withUnsafeBytes(append)
    for (_, tensor) in sorted { tensor.withFileBytes(half: half, append) }
  }

  /// Writes a file of which a reader sees all or nothing.
  ///
  /// - Throws: `FileError` where the file cannot be written.
  public static func write(
    _ tensors: [(name: String, tensor: Tensor)], to path: String, metadata: [String: String] = ["format": "pt"],
    half: Bool = false
  ) throws {
    try WholeFile.write(to: path) { pieces(tensors, metadata, half, $0) }
  }
}
