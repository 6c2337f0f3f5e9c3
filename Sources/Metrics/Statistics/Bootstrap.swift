public import Diffusion
internal import Tensors

/// The bootstrap over prompts (Efron 1979): percentile intervals from resamples of the prompts, with replacement. The
/// images of a prompt go together, because they are less different from one another than from those of others.
///
/// A statistic that is made of sums needs only the sums of each prompt, so that a resample costs no more than there are
/// prompts, whatever they have cost to draw and judge.
public struct Bootstrap {
  public static let resamples = 1000

  /// For each image the place of its prompt among the distinct ones.
  let places: [Int]
  /// The number of distinct prompts.
  let prompts: Int
  private let stream: RandomStream

  /// - Parameters:
  ///   - requests: one for each image, all of the experiment's seed
  ///   - name: the value's, which names the random stream
  public init(_ requests: some Collection<ImageRequest>, of name: String) {
    var known: [String: Int] = [:]
    places = requests.map { request in
      if let place = known[request.prompt] { return place }
      known[request.prompt] = known.count
      return known.count - 1
    }
    prompts = known.count
    stream = RandomStream(seed: requests.first?.seed ?? 0, "bootstrap", name)
  }

  /// The prompts of a resample, as many as there are, with replacement.
  private func draws(_ resample: Int) -> [Int] { stream.item(resample).integers(prompts, below: prompts) }

  /// How often a resample takes each prompt.
  func multiplicities(_ resample: Int) -> [Double] {
    var weights = [Double](repeating: 0, count: prompts)
    for place in draws(resample) { weights[place] += 1 }
    return weights
  }

  /// What a statistic is in a resample, by the resample's number; nil where it is undefined.
  typealias Statistic = (Int) -> Double?

  /// The interval of the mean of one number for each image.
  ///
  /// - Returns: nil for fewer than two prompts, which say nothing of others
  public func mean(_ values: [Double]) throws -> ConfidenceInterval? { try interval(ratio(values)) }

  /// The interval of a mean of shares; see ``shares(_:questions:)``.
  func meanOfShares(_ answers: [[(question: Int, isRight: Bool)]], questions: Int) throws -> ConfidenceInterval? {
    try interval(shares(answers, questions: questions))
  }

  /// The mean of one number for each image, or its sum over that of another.
  func ratio(_ numerators: [Double], over denominators: [Double]? = nil) -> Statistic {
    precondition(numerators.count == places.count, "\(numerators.count) values of \(places.count) images")
    var above = [Double](repeating: 0, count: prompts)
    var below = above
    for (image, place) in places.enumerated() {
      above[place] += numerators[image]
      below[place] += denominators?[image] ?? 1
    }
    return { [above, below] resample in
      var (numerator, denominator) = (0.0, 0.0)
      for place in draws(resample) {
        numerator += above[place]
        denominator += below[place]
      }
      return denominator == 0 ? nil : numerator / denominator
    }
  }

  /// The mean of shares, each the share of successes among the images that ask the same question. A question that a
  /// resample does not ask is left out of its mean.
  ///
  /// - Parameter answers: for each image its questions and whether each was answered rightly
  func shares(_ answers: [[(question: Int, isRight: Bool)]], questions: Int) -> Statistic {
    precondition(answers.count == places.count, "answers to \(answers.count) of \(places.count) images")
    var byPrompt = [[(question: Int, isRight: Bool)]](repeating: [], count: prompts)
    for (place, answers) in zip(places, answers) { byPrompt[place] += answers }
    return { [byPrompt] resample in
      var right = [Double](repeating: 0, count: questions)
      var asked = right
      for place in draws(resample) {
        for answer in byPrompt[place] {
          asked[answer.question] += 1
          if answer.isRight { right[answer.question] += 1 }
        }
      }
      let shares = zip(right, asked).filter { $0.1 > 0 }.map { $0.0 / $0.1 }
      return shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count)
    }
  }

  /// The percentile interval of what each resample gives.
  ///
  /// - Returns: nil for fewer than two prompts, and where a twentieth of the resamples or more is undefined
  func interval(_ statistic: Statistic) throws -> ConfidenceInterval? { try Self.interval(over: [self], statistic) }

  /// The same of a statistic of several sets of images, each resampled by itself.
  ///
  /// - Returns: nil also where any of them has fewer than two prompts: its part would seem to be known exactly
  static func interval(over sets: [Bootstrap], _ statistic: Statistic) throws -> ConfidenceInterval? {
    guard sets.allSatisfy({ $0.prompts > 1 }) else { return nil }
    return percentiles(try parallelMap(resamples, statistic).compactMap(\.self))
  }

  /// The same, moved so that the mean of the resamples is the value itself.
  ///
  /// For distances of distributions: a resample holds images twice, so that it is further from any distribution than
  /// its images are, and a plain percentile interval lies above the value.
  ///
  /// - Parameter resampled: what the resamples give in which the distance is defined
  /// - Returns: nil where a twentieth of the resamples or more is missing
  static func centredInterval(of value: Double, _ resampled: [Double]) -> ConfidenceInterval? {
    guard let plain = percentiles(resampled) else { return nil }
    let shift = value - resampled.reduce(0, +) / Double(resampled.count)
    return ConfidenceInterval(lower: plain.lower + shift, upper: plain.upper + shift)
  }

  private static func percentiles(_ values: [Double]) -> ConfidenceInterval? {
    guard values.count * 20 > resamples * 19 else { return nil }
    let sorted = values.sorted()
    // Between order statistics, linearly.
    func quantile(_ share: Double) -> Double {
      let position = share * Double(sorted.count - 1)
      let below = Int(position)
      let above = min(below + 1, sorted.count - 1)
      return sorted[below] + (position - Double(below)) * (sorted[above] - sorted[below])
    }
    return ConfidenceInterval(lower: quantile(0.025), upper: quantile(0.975))
  }
}
