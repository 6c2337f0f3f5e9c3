import Configuration
import Diffusion
import Shapes
import Tensors
import Glibc

BLAS.restartWithBestCore(CommandLine.arguments)

func decode<C: Configuration>(_ path: String, _ key: String, _ type: C.Type) throws -> C {
  let text = try String(contentsOfFile: path)
  return try C.parse(JSON.parse(text, file: path)[key] ?? [:], file: path, keyPath: key)
}
extension String {
  init(contentsOfFile path: String) throws {
    guard let f = fopen(path, "r") else { throw TrainError(description: "no \(path)") }
    defer { fclose(f) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true { let n = fread(&buffer, 1, buffer.count, f); if n <= 0 { break }; bytes += buffer[0..<n] }
    self = String(decoding: bytes, as: UTF8.self)
  }
}
struct TrainError: Error, CustomStringConvertible { let description: String }

let part = CommandLine.arguments[1], out = CommandLine.arguments[2], recipes = CommandLine.arguments[3]
var started = time(nil)
var sum: Float = 0, n = 0
let monitor = TrainingMonitor(stateFolder: out, report: { part, r, steps in
  sum += r.loss; n += 1
  if r.step % 50 == 0 || r.step == 1 { fflush(nil); print("\(part) \(r.step)/\(steps) loss \(sum / Float(n)) norm \(r.gradientNorm) \(time(nil) - started)s"); sum = 0; n = 0 }
}, shouldStop: { false })
let world = ShapesWorld(seed: 0)
let recipe = try decode("\(recipes)/\(part).json", "optimization", OptimizationRecipe.self)
switch part {
case "judge":
  let w = try JudgeTraining(world: world, recipe: recipe).run(monitor)
  try Safetensors.write(w.tensors, to: "\(out)/judge.safetensors")
  let judge = try JudgeNetwork(w)
  var right = [Int](repeating: 0, count: 5)
  for b in 0..<40 {
    let scenes = (0..<100).map { world.scene(b < 20 ? .test : .heldOut, b * 100 + $0) }
    for (c, s) in zip(judge.classify(RGBImage.batch(scenes.map { $0.drawn() })), scenes) { for k in 0..<5 where c[k] == s.attributes.labels[k] { right[k] += 1 } }
  }
  print("judge accuracy over 4000", right.map { Float($0) / 40 })
case "autoencoder":
  let judgeWeights = try Weights(loading: SafetensorsFile("\(out)/judge.safetensors"))
  let t = AutoencoderTraining(world: world, recipe: recipe, network: try decode("\(recipes)/\(part).json", "network", AutoencoderNetworkRecipe.self))
  let w = try t.run(monitor, judge: judgeWeights)
  try Safetensors.write(w.tensors, to: "\(out)/autoencoder.safetensors")
  let vae = try AutoencoderKL(t.config, w), judge = try JudgeNetwork(judgeWeights)
  var right = [Int](repeating: 0, count: 5)
  var error = 0.0
  for b in 0..<20 {
    let scenes = (0..<100).map { world.scene(.heldOut, b * 100 + $0) }
    let x = RGBImage.batch(scenes.map { $0.drawn() })
    let y = vae.decode(vae.encode(x).mean)
    error += Double(mseLoss(x, y).item) / 20
    for (c, s) in zip(judge.classify(y), scenes) { for k in 0..<5 where c[k] == s.attributes.labels[k] { right[k] += 1 } }
  }
  print("reconstructions judged right over 2000", right.map { Float($0) / 20 }, "psnr", 10 * log10(4 / error))
case "clip":
  let tok = try CLIPTokenizer(folder: "\(out)/tokenizer")
  let t = CLIPTraining(world: world, tokenizer: tok, recipe: recipe, network: try decode("\(recipes)/\(part).json", "network", CLIPNetworkRecipe.self))
  let w = try t.run(monitor)
  try Safetensors.write(w.tensors, to: "\(out)/clip.safetensors")
  let clip = try CLIPModel(t.config, w)
  func state(_ a: String) -> (Tensor, Tensor) {
    let ids = tok.encode(a)
    let h = clip.text([ids])
    return (h.slice(axis: 1, 2..<3).reshaped([1, h.shape[2]]).normalizedRows(), clip.text.pooled(h, [ids]).normalizedRows())
  }
  for (a, b) in [("a circle", "a disc"), ("a circle", "a square"), ("a red", "a crimson")] {
    let x = state(a), y = state(b)
    print(a, b, "word cosine", (x.0 * y.0).sum().item, "pooled", (x.1 * y.1).sum().item)
  }
  let h = clip.text(["a red striped circle on a white background", "a circle"].map(tok.encode))
  print("active share", (h.abs().mean(axis: -1) / h.square().mean(axis: -1).squareRoot()).mean().item)
  var right = [Int](repeating: 0, count: 5)
  for b in 0..<10 {
    let scenes = (0..<100).map { world.scene(.test, b * 100 + $0) }
    let f = clip.imageFeatures(RGBImage.batch(scenes.map { $0.drawn() })).normalizedRows()
    let names = ShapeObject.allCases.map { "a \($0.rawValue)" }
    let g = clip.textFeatures(names.map(tok.encode)).normalizedRows()
    let best = f.matmul(g.transposedLast()).argmaxLastAxis()
    for (c, s) in zip(best, scenes) where c == s.attributes.labels[0] { right[0] += 1 }
  }
  print("zero-shot object", Float(right[0]) / 10)
case "tokenizer":
  mkdir("\(out)/tokenizer", 0o755)
  try VocabularyBuilder().write(to: "\(out)/tokenizer")
case "unet":
  let tok = try CLIPTokenizer(folder: "\(out)/tokenizer")
  let ct = CLIPTraining(world: world, tokenizer: tok, recipe: recipe, network: try decode("\(recipes)/clip.json", "network", CLIPNetworkRecipe.self))
  let at = AutoencoderTraining(world: world, recipe: recipe, network: try decode("\(recipes)/autoencoder.json", "network", AutoencoderNetworkRecipe.self))
  let clip = try CLIPModel(ct.config, Weights(loading: SafetensorsFile("\(out)/clip.safetensors")))
  let vae = try AutoencoderKL(at.config, Weights(loading: SafetensorsFile("\(out)/autoencoder.safetensors")))
  let t = UNetTraining(world: world, tokenizer: tok, textEncoder: clip.text, autoencoder: vae, scheduler: DDIMScheduler(DDIMConfig()), recipe: recipe, network: try decode("\(recipes)/unet.json", "network", UNetNetworkRecipe.self))
  var m = monitor
  m.stateFolder = CommandLine.arguments[4]
  mkdir(m.stateFolder, 0o755)
  let w = try t.run(m)
  print("parameters", w.parameterCount)
  try Safetensors.write(w.tensors, to: "\(m.stateFolder)/unet.safetensors")
default:
  print("unknown part")
}
