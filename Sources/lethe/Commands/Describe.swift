import ArgumentParser
import Configuration
import Diffusion
import Workbench

struct Describe: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Explain the settings of a technique, an attack or a metric, or what a base model offers.",
    discussion: """
      Without a name, lists what there is to describe.

        lethe describe ssd       every setting: type, default, meaning, source
        lethe describe shapes    a base model's concepts and sampler defaults
      """)

  @Argument(help: "A technique, an attack, a metric or a base model.")
  var name: String?

  @Option(
    help: ArgumentHelp("The base model whose own defaults are shown beside a technique's.", valueName: "name|path"))
  var baseModel: String?

  @OptionGroup var store: StoreOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let catalogue = Catalogue.standard
    let locations = store.locations
    let models = try locations.modelNames
    guard let name else {
      let overview = CatalogueText.overview(catalogue, models: models)
      return output.print(overview.json, else: { overview.text })
    }
    if models.contains(name) || name.contains("/") {
      let folder = try locations.modelFolder(name, from: ".")
      guard let card = try ModelCard.load(folder: folder) else {
        throw ValidationError("the base model \(folder) has no \(ModelCard.fileName), so it declares nothing")
      }
      return output.print(ModelCardText.json(card), else: { ModelCardText.text(card, folder: folder) })
    }
    // Without a model of that name there are no defaults to show; that is no reason not to explain the technique.
    let folder = try baseModel.map { try locations.modelFolder($0, from: ".") }
      ?? (try? locations.modelFolder("shapes", from: "."))
    let card = try folder.flatMap { try ModelCard.load(folder: $0) }
    guard catalogue.names.contains(name) || Catalogue.isPlanned(name) else {
      throw ValidationError(
        "there is no technique, attack, metric or base model \"\(name)\""
          + suggestion(for: name, among: catalogue.names + models))
    }
    let component = try CatalogueText.component(
      name, catalogue, base: BaseDeclaration(card: card), baseName: baseModel ?? "shapes")
    output.print(component.json, else: { component.text })
  }
}
