import Configuration
import Foundation
import TestModels
import Testing

@Suite("What is refused")
struct BadInputTests {
  /// Expects one sentence on standard error, nothing on standard output, and a status that is not zero.
  private func expectRefusal(
    _ outcome: Program.Outcome, _ sentence: String, location: SourceLocation = #_sourceLocation
  ) {
    #expect(outcome.status != 0, sourceLocation: location)
    #expect(outcome.output.isEmpty, "\(outcome.output)", sourceLocation: location)
    let lines = outcome.errors.split(separator: "\n")
    #expect(lines.count == 1, "\(outcome.errors)", sourceLocation: location)
    #expect(outcome.errors.hasPrefix("lethe: error: "), "\(outcome.errors)", sourceLocation: location)
    #expect(outcome.errors.contains(sentence), "\(outcome.errors)", sourceLocation: location)
  }

  @Test(
    "a wrong usage is one sentence",
    arguments: [
      (["rnu"], "there is no command \"rnu\"; did you mean \"run\"?"),
      (["run"], "Missing expected argument '<file> ...'"),
      (["run", "e.json", "--sed", "a=1"], "Unknown option '--sed'"),
      (["run", "e.json", "--seeds", "0,x"], "expected whole numbers separated by commas, found \"0,x\""),
      (["run", "e.json", "--device", "gpu"], "\"gpu\" is not one of its values; did you mean"),
      (["ls", "--status", "done"], "\"done\" is not one of its values"),
      (["ls", "--limit", "0"], "--limit takes a number of at least 1, found 0"),
      (["compare", "abcd"], "compare takes two runs or more, found 1"),
      (["generate", "a circle", "--count", "0"], "--count takes a number of at least 1 and at most 1000000, found 0"),
      (["generate", "a circle", "--count", "1000001"], "--count takes a number of at least 1 and at most 1000000"),
      (["bench", "--batches", "1,9000000000"], "at most 1000000, found 9000000000"),
      (["run", "e.json", "--memory", "lots"], "a number of bytes was expected, such as 8GiB or 500MB, found \"lots\""),
      (["generate", "a circle", "--memory", "8GiBs"], "\"GiBs\" is no unit of memory; did you mean \"GiB\"?"),
      (["bench", "--memory", "8GiB"], "--memory belongs to --part"),
      (["bench", "--scaling"], "--scaling belongs to --part"),
      (["bench", "--batch", "2"], "--batch and --latent-size belong to --part and --roofline"),
      (["bench", "--part", "unet-frward"], "is not one of its values; did you mean \"unet-forward\"?"),
      (["bench", "--part", "vae-decode", "--latent-size", "9000"], "at most 1024, found 9000"),
      (["bench", "--roofline", "m", "--part", "unet-gradient"], "--roofline is drawn of forward passes"),
      (
        ["forward", "m", "--inputs", "a", "--output", "b", "--parts", "gradients"],
        "the part gradients and --gradients-of belong together"
      ),
      (["generate", "a circle", "--out", "a.jpg"], "--out takes a file that ends in .png"),
      (["generate", "a circle", "--guidance-scale", "-1"], "--guidance-scale"),
      (["generate", "a circle", "--scheduler", "dmp_solver++"], "found \"dmp_solver++\" (did you mean dpm_solver++?)"),
      (["generate", "a circle", "--eta", "2"], "--eta takes a number from 0 to 1, found 2"),
      (["generate", "a circle", "--model", "./model", "--run", "abcd"], "--run and --model both name a model"),
      (["gc", "--grace", "-1"], "--grace"),
      (["train", "sae", "--recipe", "r.json"], "either --out says where the autoencoder is written, or --declare"),
      (["train", "sae", "--out", "a", "--declare"], "either --out says where the autoencoder is written, or --declare"),
    ] as [([String], String)])
  func usage(_ arguments: [String], _ sentence: String) throws {
    let desk = try Desk(model: false)
    expectRefusal(try desk.lethe.start(arguments).finish(), sentence)
    #expect(!desk.exists("lethe-store"), "nothing is made")
  }

  @Test("work that cannot fit into its memory, with what it would need and before any of it")
  func memory() throws {
    let desk = try Desk()
    try desk.write("ssd.json", Desk.experiment(Desk.ssd))
    for (arguments, stage, words) in [
      (["run", "ssd.json"], "fisher.forget ", "stages do not fit into the memory that --memory gives them, 10.0 MiB"),
      (["generate", "a circle"], "drawing would need ", "and --memory gives it 10.0 MiB"),
      (["bench", "--part", "unet-gradient"], "unet-gradient would need ", "and --memory gives it 10.0 MiB"),
    ] {
      let model = arguments[0] == "run" ? [] : ["--model", "./model"]
      let outcome = try desk.lethe.start(arguments + model + ["--memory", "10MiB"]).finish()
      expectRefusal(outcome, stage)
      expectRefusal(outcome, words)
    }
    #expect(try runs(desk) == 0)
    #expect(!desk.exists("picture.png"))
  }

  @Test("a store that is not there, and names that mean nothing in one that is")
  func store() throws {
    let desk = try Desk(model: false)
    expectRefusal(try desk.lethe("ls"), "there is no store in")
    expectRefusal(
      try desk.lethe("describe", "sssd"),
      "there is no technique, attack, metric or base model \"sssd\"; did you mean \"ssd\"?")
    expectRefusal(try desk.lethe("report", "no.json"), "no.json: there is no such file")
    // Planning makes the store and nothing in it.
    _ = try SmallBaseModel(folder: desk.path("model"), draws: true)
    try desk.write("e.json", Desk.experiment())
    #expect(try desk.lethe("plan", "e.json").status == 0)
    expectRefusal(try desk.lethe("show", "abcd"), "has a hash that begins with abcd")
    expectRefusal(try desk.lethe("show", "xyz"), "\"xyz\" is no hash")
    expectRefusal(try desk.lethe("reproduce", "ab"), "\"ab\" is too short for a hash")
    #expect(try desk.lethe("ls").output == "no runs\n")
  }

  @Test("a store that cannot be written, before anything is computed")
  func unwritableStore() throws {
    let desk = try Desk()
    try desk.write("e.json", Desk.experiment())
    try desk.write("occupied", "a file")
    expectRefusal(try desk.lethe("run", "e.json", "--store", "occupied/store"), "cannot make the folder occupied")
  }

  @Test("experiments that are wrong, each with file and key")
  func experiments() throws {
    let desk = try Desk()
    func refused(_ json: JSON, _ sentence: String, location: SourceLocation = #_sourceLocation) throws {
      try desk.write("e.json", json)
      expectRefusal(try desk.lethe("run", "e.json"), sentence, location: location)
    }
    let good = Desk.experiment(Desk.ssd)
    try refused(good.setting("technique.name", to: "sssd"), "e.json: technique.name: there is no technique \"sssd\"")
    try refused(
      good.setting("technique.config.erase_concept", to: "cirlce"),
      "declares no concept \"cirlce\"; did you mean \"circle\"?")
    try refused(good.setting("technique.config.num_fisher_samples", to: -5), "at least 1, found the number -5")
    try refused(
      good.setting("metrics.fid.config.limt", to: 5), "metrics.fid.config.limt: unknown key; did you mean \"limit\"?")
    try refused(good.setting("base_model", to: "./modle"), "there is no base model in the folder")
    try refused(good.setting("base_model", to: "shapse"), "there is no base model \"shapse\"")
    // What only the model's own shapes tell is refused as early.
    let prune = Desk.experiment(["name": "cad_erase", "config": ["erase_concept": "circle", "ablate_ratio": 1e-5]])
    try refused(prune, "e.json: technique.config: a ratio of 0.00001 removes nothing, because the longest row has")
    try desk.write("e.json", #"{"technique": {"name": "#)
    expectRefusal(try desk.lethe("run", "e.json"), "e.json")
    expectRefusal(try desk.lethe("run", "none.json"), "none.json: there is no such file")
    #expect(
      try !FileManager.default.contentsOfDirectory(atPath: desk.folder).contains("lethe-store") || runs(desk) == 0)
  }

  private func runs(_ desk: Desk) throws -> Int { try desk.lethe("ls", "--json").json().array?.count ?? -1 }

  @Test("names of models that cannot be given, and folders that are none")
  func models() throws {
    let desk = try Desk()
    expectRefusal(
      try desk.lethe("models", "add", "a/b", "model"), "\"a/b\" cannot be the name of a model: it looks like a path")
    expectRefusal(try desk.lethe("models", "add", "ssd", "model"), "a technique, an attack or a metric is called so")
    expectRefusal(try desk.lethe("models", "add", "mine", "none"), "there is no base model in the folder none")
    expectRefusal(try desk.lethe("models", "add", "mine"), "Missing expected argument '<path>'")
    expectRefusal(try desk.lethe("models", "remove", "mine"), "no model \"mine\" is registered")
    expectRefusal(try desk.lethe("models", "show", "mine"), "there is no base model \"mine\"")
    #expect(!desk.exists("lethe-store"), "what is refused leaves nothing behind")
    try FileManager.default.createDirectory(atPath: desk.path("lethe-store"), withIntermediateDirectories: true)
    try desk.write("lethe-store/models.json", "{")
    expectRefusal(try desk.lethe("models"), "lethe-store/models.json")
    expectRefusal(try desk.lethe("generate", "a circle", "--model", "mine"), "lethe-store/models.json")
  }

  @Test("weights that are truncated or missing")
  func weights() throws {
    let desk = try Desk()
    let path = desk.path("model/unet/diffusion_pytorch_model.safetensors")
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: path))
    expectRefusal(
      try desk.lethe("generate", "a circle", "--model", "./model"), "unet/diffusion_pytorch_model.safetensors")
    try FileManager.default.removeItem(atPath: path)
    expectRefusal(
      try desk.lethe("generate", "a circle", "--model", "./model"), "this file of the model folder is missing")
    expectRefusal(try desk.lethe("generate", "a circle", "--model", "./none"), "there is no base model in the folder")
    #expect(!desk.exists("picture.png"))
  }

  @Test("a run that fails is recorded, said in one sentence, and ends with status 1")
  func failedRun() throws {
    let desk = try Desk()
    try FileManager.default.removeItem(atPath: desk.path("model/unet/diffusion_pytorch_model.safetensors"))
    try desk.write("e.json", Desk.experiment())
    let outcome = try desk.lethe("run", "e.json", "--json")
    #expect(outcome.status == 1)
    let run = try #require(outcome.json()["runs"]?[0])
    #expect(run["status"] == "failed")
    #expect(run["error"]?.string?.contains("model folder is missing") == true)
    #expect(outcome.errors.contains("lethe: error: run "))
    #expect(try runs(desk) == 1)
  }
}
