import Configuration
import Diffusion
import Foundation
import Tensors
import TestSupport
import Testing

/// The folders that diffusers and transformers wrote, and the values they computed on them.
enum Reference {
  static let tinyDiffusers = Fixtures.path("tiny-diffusers")
  static let tinyCLIP = Fixtures.path("tiny-clip")

  static func tensor(_ name: String) throws -> Tensor { try Fixtures.tensors("reference.safetensors").tensor(name) }

  static func json() throws -> JSON { try JSON.read(Fixtures.path("reference.json")) }

  /// The token ids of the three prompts.
  static func ids() throws -> [[Int]] {
    try #require(json()["tokens"]?.array).prefix(3).map { try #require($0["ids"]?.array).compactMap(\.integer) }
  }

  static func unet() throws -> (UNetConfig, Weights) {
    let config = try UNetConfig(ConfigurationFile(path: tinyDiffusers + "/unet/config.json"))
    return (config, try weights(tinyDiffusers + "/unet/diffusion_pytorch_model.safetensors"))
  }

  static func vae() throws -> (AutoencoderConfig, Weights) {
    let config = try AutoencoderConfig(ConfigurationFile(path: tinyDiffusers + "/vae/config.json"))
    return (config, try weights(tinyDiffusers + "/vae/diffusion_pytorch_model.safetensors"))
  }

  static func text() throws -> (CLIPTextConfig, Weights) {
    let config = try CLIPTextConfig(ConfigurationFile(path: tinyDiffusers + "/text_encoder/config.json"))
    return (config, try weights(tinyDiffusers + "/text_encoder/model.safetensors"))
  }

  static func clip() throws -> (CLIPConfig, Weights) {
    let config = try CLIPConfig(ConfigurationFile(path: tinyCLIP + "/config.json"))
    return (config, try weights(tinyCLIP + "/model.safetensors"))
  }

  static func weights(_ path: String) throws -> Weights { try Weights(loading: SafetensorsFile(path)) }
}

func expectAgreement(
  _ found: Tensor, _ name: String, within tolerance: Double = 1e-4, location: SourceLocation = #_sourceLocation
) throws {
  let error = relativeError(found, try Reference.tensor(name))
  if ProcessInfo.processInfo.environment["LETHE_SHOW_PARITY"] != nil { print("parity \(name): \(error)") }
  #expect(error <= tolerance, "\(name)", sourceLocation: location)
}
