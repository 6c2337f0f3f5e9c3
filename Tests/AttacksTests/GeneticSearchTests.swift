import Attacks
import Diffusion
import TestSupport
import Tensors
import Testing

@Suite("Genetic search") struct GeneticSearchTests {
  private let search = GeneticSearch(
    populationSize: 40, generations: 30, length: 6, geneCount: 9, crossoverRate: 0.5, mutationRate: 0.25)
  private let stream = RandomStream(seed: 2, "genes")

  private func population() -> [GeneticSearch.Individual] { search.first(stream) }

  @Test("operators keep the length of genomes and the bounds of genes")
  func shape() {
    let crossed = search.crossed(population(), stream.item(1))
    let mutated = search.mutated(crossed, stream.item(2))
    for individual in population() + crossed + mutated {
      #expect(individual.genes.count == 6 && individual.genes.allSatisfy { (0..<9).contains($0) })
    }
    #expect(Set(mutated.flatMap(\.genes)) == Set(0..<9))
  }

  @Test("children are one parent up to a cut and the other behind it, and parents stay")
  func crossover() {
    let parents = (0..<20).map {
      GeneticSearch.Individual(genes: Array(repeating: $0, count: 6), loss: Float($0))
    }
    let crossed = search.crossed(parents, stream)
    let children = crossed.filter { $0.loss == nil }
    #expect(crossed.filter { $0.loss != nil } == parents)
    #expect(!children.isEmpty && children.count % 2 == 0 && children.count < 40)
    for child in children {
      let changes = zip(child.genes, child.genes.dropFirst()).filter { $0 != $1 }.count
      #expect(changes <= 1)
    }
    #expect(children.contains { Set($0.genes).count == 2 })
  }

  @Test("a mutant has one gene drawn anew and no loss, and about a quarter are mutants")
  func mutation() {
    let individuals = (0..<400).map { _ in GeneticSearch.Individual(genes: Array(repeating: 0, count: 6), loss: 1) }
    let mutated = search.mutated(individuals, stream)
    let mutants = mutated.filter { $0.loss == nil }
    #expect((70...130).contains(mutants.count))
    #expect(mutants.allSatisfy { $0.genes.filter { $0 != 0 }.count <= 1 })
    #expect(mutated.filter { $0.loss != nil } == Array(individuals.prefix(400 - mutants.count)))
  }

  @Test("a search finds what it is asked for, and asks about no genome of a generation twice")
  func run() throws {
    let goal = [3, 1, 4, 1, 5, 8]
    var asked = 0
    var longer = search
    longer.generations = 80
    let result = try longer.run(stream, isCancelled: { false }) { genomes in
      #expect(Set(genomes).count == genomes.count)
      asked += genomes.count
      return genomes.map { zip($0, goal).reduce(0) { $0 + Float(abs($1.0 - $1.1)) } }
    }
    #expect(result.genes == goal && result.loss == 0 && result.generations == 80)
    #expect(asked < 80 * 40)
  }

  @Test("without a better one for as many generations as patience has, a search ends")
  func patience() throws {
    var patient = search
    patient.patience = 4
    let result = try patient.run(stream, isCancelled: { false }) { $0.map { _ in 1 } }
    #expect(result.generations == 5)
  }
}
