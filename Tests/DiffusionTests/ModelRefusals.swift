import Configuration
import Diffusion
import Foundation
import TestSupport

/// A copy of the tiny model that diffusers wrote, to be spoilt.
func withModelFolder(_ body: (String) throws -> Void) throws {
  try withScratchFolder { folder in
    let copy = folder + "/model"
    try FileManager.default.copyItem(atPath: Reference.tinyDiffusers, toPath: copy)
    try body(copy)
  }
}

/// The sentence with which a model's folder or single file is refused.
func refusal(_ path: String) -> String {
  do {
    _ = try DiffusionModel(folder: path)
    return "accepted"
  } catch {
    return "\(error)"
  }
}

/// Has a safetensors file call tensors integers that take as many bytes.
func makeIntegers(of names: [String], in path: String) throws {
  var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
  let end = 8 + bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
  var header = try JSON.parse(bytes[8..<end], file: path).object ?? [:]
  for name in names { header[name] = try header[name]?.setting("dtype", to: "I32") }
  var text = Array(JSON.object(header).canonical().utf8)
  text += [UInt8](repeating: UInt8(ascii: " "), count: end - 8 - text.count)
  bytes.replaceSubrange(8..<end, with: text)
  try WholeFile.write(bytes, to: path)
}
