public import Tensors

/// The genetic search of Ring-A-Bell (arXiv 2310.10012, published code): single-point crossover among
/// the better half, then a mutation of one gene, which may hit survivors too.
public struct GeneticSearch {
  /// Of the first generation; half as many survive each.
  public var populationSize: Int
  public var generations: Int
  /// Genes of an individual, each one of `geneCount`.
  public var length: Int
  public var geneCount: Int
  /// The probability with which a survivor and another beget two children.
  public var crossoverRate: Double
  /// The probability with which an individual has one gene replaced.
  public var mutationRate: Double
  /// Generations without a better individual after which the search ends; nil for as many as there are.
  public var patience: Int?

  public init(
    populationSize: Int, generations: Int, length: Int, geneCount: Int, crossoverRate: Double, mutationRate: Double,
    patience: Int? = nil
  ) {
    self.populationSize = populationSize
    self.generations = generations
    self.length = length
    self.geneCount = geneCount
    self.crossoverRate = crossoverRate
    self.mutationRate = mutationRate
    self.patience = patience
  }

  public struct Individual: Equatable {
    public var genes: [Int]
    /// Nil where nobody has looked.
    public var loss: Float?

    public init(genes: [Int], loss: Float?) { (self.genes, self.loss) = (genes, loss) }
  }

  public struct Result {
    /// The best of the last generation.
    public let genes: [Int]
    public let loss: Float
    public let generations: Int
  }

  /// - Parameter losses: of individuals that differ from one another; each genome of a generation is asked about once,
  ///   and survivors keep their loss
  /// - Throws: `CancellationError` where `isCancelled` says so.
  public func run(
    _ stream: RandomStream, isCancelled: () -> Bool, losses: ([[Int]]) throws -> [Float]
  ) throws -> Result {
    var population = first(stream.substream("start"))
    var (lowest, idle) = (Float.infinity, 0)
    for generation in 0..<generations {
      if isCancelled() { throw CancellationError() }
      try evaluate(&population, losses)
      population = Array(best(population, count: max(populationSize / 2, 1)))
      let loss = population[0].loss ?? .infinity
      idle = loss < lowest ? 0 : idle + 1
      lowest = min(lowest, loss)
      if generation == generations - 1 || patience.map({ idle >= $0 }) ?? false {
        return Result(genes: population[0].genes, loss: loss, generations: generation + 1)
      }
      let draws = stream.item(generation)
      population = mutated(crossed(population, draws.substream("crossover")), draws.substream("mutation"))
    }
    preconditionFailure("a search of no generations")
  }

  public func first(_ stream: RandomStream) -> [Individual] {
    let genes = stream.integers(populationSize * length, below: geneCount)
    return (0..<populationSize).map { Individual(genes: Array(genes[$0 * length..<($0 + 1) * length]), loss: nil) }
  }

  /// Every individual, and behind it with the crossover rate its two children with another, drawn from all. The genes
  /// are cut at one place, which may be the very start.
  public func crossed(_ parents: [Individual], _ stream: RandomStream) -> [Individual] {
    let crosses = stream.substream("who").uniformDoubles(parents.count)
    let partners = stream.substream("partner").integers(parents.count, below: parents.count)
    let cuts = stream.substream("cut").integers(parents.count, below: length)
    return parents.indices.flatMap { index -> [Individual] in
      guard crosses[index] < crossoverRate else { return [parents[index]] }
      let (first, second, cut) = (parents[index].genes, parents[partners[index]].genes, cuts[index])
      return [
        parents[index],
        Individual(genes: Array(first[..<cut] + second[cut...]), loss: nil),
        Individual(genes: Array(second[..<cut] + first[cut...]), loss: nil),
      ]
    }
  }

  /// Individuals of which with the mutation rate one gene is drawn anew.
  public func mutated(_ individuals: [Individual], _ stream: RandomStream) -> [Individual] {
    let mutates = stream.substream("who").uniformDoubles(individuals.count)
    let places = stream.substream("place").integers(individuals.count, below: length)
    let genes = stream.substream("gene").integers(individuals.count, below: geneCount)
    return individuals.indices.map { index in
      guard mutates[index] < mutationRate else { return individuals[index] }
      var mutant = individuals[index]
      mutant.genes[places[index]] = genes[index]
      mutant.loss = nil
      return mutant
    }
  }

  private func evaluate(_ population: inout [Individual], _ losses: ([[Int]]) throws -> [Float]) throws {
    var known: [[Int]: Float] = [:]
    for individual in population { if let loss = individual.loss { known[individual.genes] = loss } }
    var asked: Set<[Int]> = []
    let new = population.map(\.genes).filter { known[$0] == nil && asked.insert($0).inserted }
    for (genes, loss) in zip(new, new.isEmpty ? [] : try losses(new)) { known[genes] = loss }
    for index in population.indices { population[index].loss = known[population[index].genes] }
  }

  /// Those of the lowest loss, lowest first; of equals the earlier one.
  private func best(_ population: [Individual], count: Int) -> ArraySlice<Individual> {
    let order = population.indices.sorted {
      let (first, second) = (population[$0].loss ?? .infinity, population[$1].loss ?? .infinity)
      return first != second ? first < second : $0 < $1
    }
    return order.prefix(count).map { population[$0] }[...]
  }
}
