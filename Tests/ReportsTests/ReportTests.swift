import Configuration
import Diffusion
import Foundation
import Reports
import Testing

@Suite struct ReportTests {
  private let runs = [
    run("base-run", technique: "base", cer: 0.02, fid: 9), run("one", alpha: 1, cer: 0.3, fid: 11),
    run("five", alpha: 5, cer: 0.95, fid: 14),
  ]
  private let images = RunImages(
    prompts: { _ in ["a circle", "a square", "a circle", "a star"] },
    image: { run, prompt in
      prompt == "a star" && run.id == "five" ? nil : RGBImage(width: 8, height: 8, filledWith: (20, 40, 200))
    })

  private func wholeSpec(grid: GridSpec = GridSpec()) -> TableSpec {
    var spec = spec([select("base"), select("ssd")])
    spec.scatters = [ScatterSpec()]
    spec.grid = grid
    return spec
  }

  @Test func aReportHasItsTableInTwoFormatsItsPlotAndItsGrid() throws {
    let report = try Report(wholeSpec(), runs: runs, images: images)
    #expect(report.files.map(\.name) == ["table.md", "table.csv", "scatter.svg", "scatter.png", "grid.png"])
    let markdown = String(decoding: report.files[0].bytes, as: UTF8.self)
    #expect(markdown.contains("![cer against fid](scatter.svg)"))
    #expect(markdown.contains("Images: 1 of 9 were never drawn by these runs."))
    let grid = try PNG.decode(report.files[4].bytes, file: "grid.png")
    #expect(grid.width > 600 && grid.height > 600)
  }

  @Test func eachPlotHasFilesOfItsOwn() throws {
    var wanted = spec([select("base"), select("ssd")])
    wanted.scatters = [
      try ScatterSpec.parse(["x": "fid", "y": "cer"], file: "t.json", keyPath: "scatter"),
      try ScatterSpec.parse(["x": "cer", "y": "fid"], file: "t.json", keyPath: "scatter"),
    ]
    let report = try Report(wanted, runs: runs, images: images)
    #expect(report.files.map(\.name).suffix(2) == ["scatter_2.svg", "scatter_2.png"])
    #expect(String(decoding: report.files[0].bytes, as: UTF8.self).contains("![fid against cer](scatter_2.svg)"))
  }

  @Test func aPlotForWhichNoRowHasBothValuesIsNamed() throws {
    var wanted = spec([select("ssd")])
    wanted.columns[1].label = "FID"
    wanted.scatters = [ScatterSpec()]
    let apart = [run("one", alpha: 1, fid: nil), run("five", alpha: 5, cer: nil)]
    let report = try Report(wanted, runs: apart, images: images)
    #expect(report.files.map(\.name) == ["table.md", "table.csv"])
    let note = "There is no plot of cer against FID: no row has both values."
    #expect(report.table.notes.last == note)
    #expect(String(decoding: report.files[0].bytes, as: UTF8.self).contains(note))
  }

  @Test func theSameRunsGiveTheSameBytes() throws {
    let first = try Report(wholeSpec(), runs: runs, images: images)
    let second = try Report(wholeSpec(), runs: runs.reversed(), images: images)
    #expect(first.files == second.files)
  }

  @Test func withoutPlotAndGridThereAreOnlyTables() throws {
    let report = try Report(spec([select("ssd")]), runs: runs, images: images)
    #expect(report.files.map(\.name) == ["table.md", "table.csv"])
  }

  @Test func aTableWithItsRunsBesideItHoldsNothingOfThem() throws {
    var spec = spec([select("ssd")])
    spec.runIDs = .beside
    spec.outputName = "techniques"
    let report = try Report(spec, runs: runs, images: images, remarks: "What was found.\n\n")
    #expect(report.files.map(\.name) == ["techniques.md", "techniques.csv", "techniques_runs.csv"])
    let texts = report.files.map { String(decoding: $0.bytes, as: UTF8.self) }
    #expect(texts[0].hasSuffix("\n\nWhat was found.\n"))
    var renamed = runs
    for index in renamed.indices { renamed[index].id = "other-\(index)" }
    let again = try Report(spec, runs: renamed, images: images, remarks: "What was found.\n\n")
    #expect(again.files[0] == report.files[0])
    #expect(again.files[1] == report.files[1])
    #expect(texts[2] == "label,seed,run\r\n\"ssd, alpha = 1\",0,one\r\n\"ssd, alpha = 5\",0,five\r\n")
  }

  @Test func filesAreWrittenIntoAFolderMadeForThem() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lethe-report-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let paths = try Report(wholeSpec(), runs: runs, images: images).write(to: folder + "/a/b")
    #expect(paths.count == 5)
    #expect(paths.allSatisfy { FileManager.default.fileExists(atPath: $0) })
  }

  @Test func aFolderThatCannotBeMadeIsNamed() throws {
    let report = try Report(wholeSpec(), runs: runs, images: images)
    #expect { try report.write(to: "/dev/null/reports") } throws: {
      "\($0)".hasPrefix("/dev/null/reports: cannot make")
    }
  }

  @Test func aGridRowThatIsNotThereIsRefusedWithTheNearestLabel() {
    var grid = GridSpec()
    grid.rows = ["ssd, alpha = 6"]
    #expect { try Report(wholeSpec(grid: grid), runs: runs, images: images) } throws: {
      "\($0)".contains("grid.rows.0: the table has no row \"ssd, alpha = 6\"; did you mean \"ssd, alpha = ")
    }
    grid.rows = nil
    grid.seed = 7
    #expect { try Report(wholeSpec(grid: grid), runs: runs, images: images) } throws: {
      "\($0)" == "table.json: grid.seed: no row ran with seed 7; the seeds are 0"
    }
  }

  @Test func rowsThatDrewNothingInCommonGiveNoGridButANote() throws {
    let nothing = RunImages(prompts: { _ in [] }, image: { _, _ in nil })
    let report = try Report(wholeSpec(), runs: runs, images: nothing)
    #expect(!report.files.contains { $0.name == "grid.png" })
    #expect(report.table.notes.contains { $0.hasPrefix("Images: the rows have no prompt in common") })
  }
}
