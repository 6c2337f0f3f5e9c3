import Configuration
import Foundation
import TestModels
import Testing

@Suite("From an experiment to its reproduction")
struct WorkflowTests {
  @Test("run, run again, plan, ls, show, compare, reproduce, generate with the edited model")
  func main() throws {
    let desk = try Desk()
    let lethe = desk.lethe
    try desk.write("e.json", Desk.experiment(Desk.ssd))

    let first = try lethe("run", "e.json", "--set", "technique.config.alpha=1,9", "--json")
    #expect(first.status == 0, "\(first.errors)")
    let runs = try #require(first.json()["runs"]?.array)
    #expect(runs.map { $0["set"] } == [["technique.config.alpha": 1], ["technique.config.alpha": 9]])
    #expect(runs.allSatisfy { $0["status"] == "finished" && $0["error"] == .null })
    let metrics = try #require(runs[0]["metrics"]?.array)
    #expect(metrics.prefix(2).map { $0["name"] } == ["cer", "other_accuracy"])
    #expect(metrics.allSatisfy { $0["unit"]?.string?.isEmpty == false && $0["count"]?.integer != nil })
    let stages = try #require(runs[1]["stages"]?.array)
    #expect(stages.filter { $0["cached"] == true }.map { $0["name"] } == ["base", "fisher.forget", "fisher.retain"])
    let ids = runs.compactMap { $0["run_id"]?.string }
    // Progress is no part of the document.
    #expect(first.errors.contains("fisher.forget"))

    let again = try lethe("run", "e.json", "--set", "technique.config.alpha=9", "--json")
    let repeated = try #require(again.json()["runs"]?[0])
    #expect(repeated["stages"]?.array?.allSatisfy { $0["cached"] == true } == true)
    #expect(repeated["config_hash"] == runs[1]["config_hash"])
    #expect(repeated["outputs"] == runs[1]["outputs"])

    let plan = try lethe("plan", "e.json", "--set", "technique.config.alpha=20")
    #expect(plan.output.contains("only config.alpha differs"))
    #expect(try lethe("plan", "e.json", "--json").json()["plans"]?[0]?["stages"]?.array?.isEmpty == false)

    let list = try #require(lethe("ls", "--json").json().array)
    #expect(list.count == 3)
    #expect(list[2]["run_id"] == runs[0]["run_id"])
    #expect(list[2]["metrics"] == runs[0]["metrics"])
    #expect(try lethe("ls", "--technique", "base", "--json").json() == [])
    #expect(try lethe("ls", "--tag", "test").output.contains("alpha=9"))

    let shown = try lethe("show", ids[0])
    #expect(shown.output.contains("fisher.retain"))
    #expect(try lethe("show", String(ids[0].prefix(20)), "--json").json()["record"]?["technique"] == "ssd")
    let key = try #require(stages[1]["key"]?.string)
    #expect(try lethe("show", key, "--json").json()["stage"] == "fisher.forget")

    let comparison = try lethe("compare", ids[0], ids[1], "--json").json()
    #expect(comparison["config"]?.array?.map { $0["key_path"] } == ["technique.config.alpha"])
    #expect(comparison["config"]?[0]?["values"] == [1, 9])
    #expect(comparison["metrics"]?[0]?["name"] == "cer")
    #expect(try lethe("compare", ids[0], ids[1]).output.contains("technique.config.alpha"))

    let reproduced = try lethe("reproduce", ids[1], "--json")
    #expect(reproduced.status == 0, "\(reproduced.errors)")
    #expect(try reproduced.json()["identical"] == true)
    #expect(try reproduced.json()["outputs"]?.array?.allSatisfy { $0["verdict"] == "identical" } == true)

    #expect(try lethe("generate", "a red square", "--run", ids[1], "--out", "edited.png").status == 0)
    #expect(try lethe("generate", "a red square", "--model", "./model", "--out", "plain.png").status == 0)
    #expect(try Data(contentsOf: file(desk, "edited.png")) != Data(contentsOf: file(desk, "plain.png")))

    // The defaults are those that take the concept out of a picture; others are named.
    let purified = try lethe("purify", "plain.png", "--run", ids[1], "--json")
    #expect(purified.status == 0, "\(purified.errors)")
    #expect(try purified.json()["prompt"] == "circle")
    #expect(try purified.json()["inversion_model"] == "original")
    let own = try lethe(
      "purify", "plain.png", "--run", ids[1], "--prompt", "", "--inversion-model", "tuned", "--out", "own.png",
      "--json")
    #expect(try own.json()["prompt"] == "")
    #expect(try own.json()["inversion_model"] == "tuned")
    #expect(try Data(contentsOf: file(desk, "own.png")) != Data(contentsOf: file(desk, "purified.png")))
  }

  private func file(_ desk: Desk, _ name: String) -> URL { URL(fileURLWithPath: desk.path(name)) }

  @Test("a model that has a name is listed, shown, used by it everywhere, and forgotten")
  func namedModel() throws {
    let desk = try Desk()
    let lethe = desk.lethe
    let added = try lethe("models", "add", "mine", "model")
    #expect(added.status == 0, "\(added.errors)")
    let listed = try #require(lethe("models", "--json").json()["models"]?.array?.first { $0["name"] == "mine" })
    #expect(listed["folder"] == .string(desk.path("model")) && listed["precision"] == "float32")
    #expect(listed["registered"] == true && listed["problem"] == .null)
    let table = try lethe("models").output
    #expect(table.contains("mine") && table.contains(desk.path("model")))
    let digest = try #require(listed["digest"]?.string)
    #expect(table.contains(digest.prefix(12)))
    let shown = try lethe("models", "show", "mine")
    #expect(shown.output.contains("scheduler") && shown.output.contains("text_encoder"))
    #expect(try lethe("describe", "mine").output.contains("circle, square, triangle"))

    #expect(try lethe("generate", "a circle", "--model", "mine", "--out", "named.png").status == 0)
    #expect(try lethe("generate", "a circle", "--model", "./model", "--out", "plain.png").status == 0)
    #expect(try Data(contentsOf: file(desk, "named.png")) == Data(contentsOf: file(desk, "plain.png")))
    try desk.write("e.json", Desk.experiment().setting("base_model", to: "mine"))
    let run = try lethe("run", "e.json", "--json")
    #expect(run.status == 0, "\(run.errors)")
    let id = try #require(run.json()["runs"]?[0]?["run_id"]?.string)
    let record = try lethe("show", id, "--json").json()["record"]
    #expect(record?["stages"]?[0]?["details"]?["digest"] == .string(digest))

    #expect(try lethe("models", "remove", "mine").status == 0)
    #expect(try lethe("run", "e.json").errors.contains("there is no base model \"mine\""))
    #expect(desk.exists("model/model_index.json"))
    // The record knows the folder.
    #expect(try lethe("reproduce", id).status == 0)
  }

  @Test("a plan tells how long each stage will take, and bench how long an experiment")
  func times() throws {
    let desk = try Desk()
    let lethe = desk.lethe
    try desk.write("e.json", Desk.experiment(Desk.ssd))
    let plan = try lethe("plan", "e.json", "--json").json()
    #expect((plan["estimated_seconds"]?.number ?? 0) > 0)
    let stages = try #require(plan["plans"]?[0]?["stages"]?.array)
    #expect(stages.first { $0["name"] == "fisher.forget" }?["estimated_from"] == "measurement")
    let text = try lethe("plan", "e.json").output
    #expect(text.contains(", measured") && text.contains("  about ") && text.contains("without an estimate"))
    #expect(try !lethe("plan", "e.json", "--no-times").output.contains("measured"))
    let bounded = try lethe("plan", "e.json", "--memory", "8GiB", "--json")
    #expect(bounded.status == 0 && bounded.errors.isEmpty, "\(bounded.errors)")
    #expect((try bounded.json()["estimated_seconds"]?.number ?? 0) > 0)
    let bench = try lethe("bench", "e.json")
    #expect(bench.status == 0, "\(bench.errors)")
    #expect(bench.output.contains("UNet forward") && bench.output.contains("e seed 3"))
    #expect(try lethe("bench", "e.json", "--json").json()["models"]?[0]?["seconds"]?["gradient"]?.number != nil)
    #expect(try lethe("run", "e.json").status == 0)
    #expect(try lethe("plan", "e.json").output.contains("nothing to compute"))
    let later = try lethe("plan", "e.json", "--set", "technique.config.num_fisher_samples=3").output
    #expect(later.contains(", past") && !later.contains("no estimate"))
  }

  @Test("a plan is refused for its memory as the run would be, in the same words")
  func memory() throws {
    let desk = try Desk()
    try desk.write("e.json", Desk.experiment(Desk.ssd))
    let run = try desk.lethe("run", "e.json", "--memory", "10MiB")
    #expect(run.status != 0 && run.errors.contains("fisher.forget"))
    for option in ["--times", "--no-times", "--json"] {
      let plan = try desk.lethe("plan", "e.json", "--memory", "10MiB", option)
      #expect(plan.status == run.status && plan.output.isEmpty && plan.errors == run.errors, "\(option)")
    }
    let unit = try desk.lethe("plan", "e.json", "--memory", "8GiBs")
    #expect(unit.status != 0 && unit.errors.contains("\"GiBs\" is no unit of memory; did you mean \"GiB\"?"))
    // What the cache has needs none.
    #expect(try desk.lethe("run", "e.json").status == 0)
    #expect(try desk.lethe("plan", "e.json", "--memory", "10MiB").output.contains("nothing to compute"))
  }

  @Test("a changed output ends a reproduction with a status that is not zero, and is named")
  func divergence() throws {
    let desk = try Desk()
    try desk.write("e.json", Desk.experiment())
    let run = try #require(desk.lethe("run", "e.json", "--json").json()["runs"]?[0]?["run_id"]?.string)
    let weights = desk.path("model/unet/diffusion_pytorch_model.safetensors")
    var bytes = try Data(contentsOf: URL(fileURLWithPath: weights))
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: weights))
    let outcome = try desk.lethe("reproduce", run)
    #expect(outcome.status != 0)
    #expect(outcome.errors.contains("unet/diffusion_pytorch_model.safetensors differs"))
  }

  @Test("the same command draws the same bytes; its final latents and given ones fit together")
  func generate() throws {
    let desk = try Desk()
    let lethe = desk.lethe
    #expect(try lethe("generate", "a red circle", "--model", "./model", "--seed", "7", "--out", "a.png").status == 0)
    #expect(try lethe("generate", "a red circle", "--model", "./model", "--seed", "7", "--out", "b.png").status == 0)
    #expect(try Data(contentsOf: file(desk, "a.png")) == Data(contentsOf: file(desk, "b.png")))

    let euler = try lethe(
      "generate", "a red circle", "--model", "./model", "--seed", "7", "--out", "euler.png", "--scheduler", "euler",
      "--json")
    #expect(try euler.json()["scheduler"] == "euler")
    #expect(try Data(contentsOf: file(desk, "euler.png")) != Data(contentsOf: file(desk, "a.png")))
    let long = Array(repeating: "circle", count: 90).joined(separator: " ")
    let cut = try lethe("generate", long, "--model", "./model", "--negative-prompt", long, "--out", "long.png")
    #expect(cut.errors.components(separatedBy: "more tokens than").count == 2, "\(cut.errors)")
    #expect(cut.errors.contains("2 prompts have more tokens than"))

    let several = try lethe(
      "generate", "a red circle", "--model", "./model", "--seed", "7", "--count", "3", "--out", "many.png",
      "--save-latents", "final.safetensors", "--json")
    #expect(try several.json()["files"] == ["many-0.png", "many-1.png", "many-2.png"])
    #expect(try Data(contentsOf: file(desk, "many-0.png")) == Data(contentsOf: file(desk, "a.png")))
    let sheet = try lethe(
      "generate", "a red circle", "--model", "./model", "--count", "3", "--sheet", "--out", "sheet.png")
    #expect(sheet.output == "sheet.png\n")

    let started = try lethe(
      "generate", "a red circle", "--model", "./model", "--latents", "final.safetensors", "--steps", "1", "--out",
      "on.png")
    #expect(started.status == 0, "\(started.errors)")
    #expect(desk.exists("on-2.png"))
    let wrong = try lethe(
      "generate", "a circle", "--model", "./model", "--latents", "model/vae/diffusion_pytorch_model.safetensors")
    #expect(wrong.status == 1)
    #expect(wrong.errors.contains("has no tensor 'latents'"))
    #expect(try lethe("generate", "a circle", "--model", "./model", "--out", "none/a.png").status != 0)
  }

  @Test(
    "Ctrl-C ends with status 130, kill with 143, both with a record, and the same command goes on from there",
    arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(Int32, Int32)])
  func interruption(signal: Int32, status: Int32) throws {
    let desk = try Desk()
    let long = try Desk.experiment().setting("metrics.fid.config.limit", to: 4000)
    try desk.write("e.json", long.setting("metrics.fid.config.reference_limit", to: 2))
    let running = try desk.lethe.start(["run", "e.json", "--json"])
    // The edit's entry is there and the first images' are, too.
    let deadline = Date(timeIntervalSinceNow: 60)
    while cacheEntries(desk) < 3, Date() < deadline { Thread.sleep(forTimeInterval: 0.05) }
    kill(running.process.processIdentifier, signal)
    let outcome = try running.finish()
    #expect(outcome.status == status)
    #expect(try outcome.json()["runs"]?[0]?["status"] == "interrupted")
    #expect(outcome.errors.contains("lethe: interrupted"))
    #expect(try desk.lethe("ls", "--status", "interrupted", "--json").json().array?.count == 1)
    let plan = try desk.lethe("plan", "e.json", "--json").json()
    let images = plan["plans"]?[0]?["stages"]?.array?.first { $0["name"] == "images" }
    #expect((images?["images"]?["there"]?.integer ?? 0) > 0)
  }

  private func cacheEntries(_ desk: Desk) -> Int {
    let names = (try? FileManager.default.subpathsOfDirectory(atPath: desk.path("lethe-store/cache"))) ?? []
    return names.filter { $0.contains("/") }.count
  }

  @Test("a deleted index is made again with one warning; verify, gc and reindex tell what they did")
  func care() throws {
    let desk = try Desk()
    let lethe = desk.lethe
    try desk.write("e.json", Desk.experiment())
    let run = try #require(lethe("run", "e.json", "--json").json()["runs"]?[0])
    for suffix in ["", "-wal", "-shm"] {
      try? FileManager.default.removeItem(atPath: desk.path("lethe-store/index.sqlite\(suffix)"))
    }
    let list = try lethe("ls", "--json")
    #expect(list.errors.split(separator: "\n").count == 1)
    #expect(list.errors.contains("lethe: warning: "))
    #expect(try list.json().array?.count == 1)
    #expect(try lethe("reindex", "--json").json()["runs"] == 1)

    #expect(try lethe("verify").output.contains("sound"))
    #expect(try lethe("gc", "--json").json()["removed"] == [])
    let digest = try #require(run["outputs"]?.array?.last?["digest"]?.string)
    let object = desk.path("lethe-store/objects/\(digest.prefix(2))/\(digest.dropFirst(2))")
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: object)
    try Data("damaged".utf8).write(to: URL(fileURLWithPath: object))
    let verified = try lethe("verify", "--json")
    #expect(verified.status == 1)
    #expect(try verified.json()["problems"]?[0]?["kind"] == "damagedObject")
    #expect(try lethe("run", "e.json").status != 0, "a damaged object is never a result")
  }

  @Test("a recorded patch is printed to the byte, and only for a run")
  func patch() throws {
    let desk = try Desk()
    let git = Process()
    git.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    git.arguments = ["git", "init", "--quiet", desk.folder]
    try git.run()
    git.waitUntilExit()
    // Latin-1, which is no UTF-8, and no line feed at its end.
    try Data(Array("caf".utf8) + [0xE9]).write(to: file(desk, "latin.txt"))
    try desk.write(".gitignore", "*\n!latin.txt\n")
    try desk.write("e.json", Desk.experiment())
    let run = try #require(desk.lethe("run", "e.json", "--json").json()["runs"]?[0])
    let id = try #require(run["run_id"]?.string)
    let digest = try #require(
      desk.lethe("show", id, "--json").json()["record"]?.value(at: "git.patch")?.string)
    let object = file(desk, "store/objects/\(digest.prefix(2))/\(digest.dropFirst(2))")
    let printed = try desk.lethe("show", id, "--patch")
    let recorded = try [UInt8](Data(contentsOf: object))
    #expect(printed.bytes == recorded)
    #expect(printed.bytes.contains(0xE9))

    let config = try #require(run["config_hash"]?.string)
    let refused = try desk.lethe("show", config, "--patch")
    #expect(refused.status != 0 && refused.bytes.isEmpty)
    #expect(refused.errors.contains("--patch belongs to a run"))
  }

  @Test("a report prints its table and writes its files beside the store")
  func report() throws {
    let desk = try Desk()
    try desk.write("e.json", Desk.experiment())
    #expect(try desk.lethe("run", "e.json").status == 0)
    try desk.write(
      "table.json", ["title": "A table", "runs": [["technique": "base"]], "columns": ["cer", "fid", "clip_score"]])
    let report = try desk.lethe("report", "table.json")
    #expect(report.status == 0, "\(report.errors)")
    #expect(report.output.contains("A table"))
    #expect(report.output.contains("reports/table/table.md"))
    #expect(desk.exists("reports/table/table.csv"))
    let json = try desk.lethe("report", "table.json", "--json").json()
    #expect(json["table"]?["rows"]?.array?.count == 1)
  }

  @Test("a sparse autoencoder is trained into the base model, and erases; of another model's it is said whose it is")
  func sparseAutoencoder() throws {
    let desk = try Desk()
    let lethe = desk.lethe
    try desk.write(
      "sae.json",
      [
        "base_model": "./model", "hookpoint": "up_blocks.1.attentions.0", "training_prompts": ["a circle", "a square"],
        "expansion_factor": 2, "k": 4, "effective_batch_size": 16, "num_epochs": 1,
      ])
    let training = try lethe("train", "sae", "--recipe", "sae.json", "--declare", "--json")
    #expect(training.status == 0, "\(training.errors)")
    #expect(try training.json()["status"] == "finished")
    #expect(try training.json()["fit"]?["unexplained"]?.number != nil)
    #expect(try lethe("describe", "./model").output.contains("sae/up_blocks.1.attentions.0.safetensors"))
    let described = try lethe("describe", "saeuron", "--base-model", "./model")
    #expect(described.output.contains("\"up_blocks.1.attentions.0\" (./model), else \"up_blocks.1.attentions.1\""))
    try desk.write(
      "e.json",
      Desk.experiment([
        "name": "saeuron",
        "config": ["erase_concept": "circle", "contrast_prompts": ["a square"], "top_features": 2],
      ]))
    let run = try lethe("run", "e.json", "--json")
    #expect(run.status == 0, "\(run.errors)")

    _ = try lethe(
      "train", "sae", "--recipe", "sae.json", "--set", "hookpoint=mid_block.attentions.0", "--out", "mid.safetensors")
    let refused = try lethe("run", "e.json", "--set", "technique.config.autoencoder_path=mid.safetensors")
    #expect(refused.status != 0 && refused.output.isEmpty)
    #expect(
      refused.errors == "lethe: error: mid.safetensors is an autoencoder of the layer 'mid_block.attentions.0', and "
        + "hookpoint is 'up_blocks.1.attentions.0'\n")
  }
}
