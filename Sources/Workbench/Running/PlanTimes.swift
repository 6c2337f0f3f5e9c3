internal import Diffusion
internal import Store

extension Runner {
  /// The plans of points with the time that each of their stages will take on this machine. Where the store knows no
  /// stages of a kind, passes of the model are timed: for a large model that takes a while itself.
  ///
  /// - Parameter times: what has been timed already, and is from now on
  public func plansWithTimes(_ points: [ExperimentPoint], times: ModelTimes = ModelTimes()) throws -> [Plan] {
    let entries = KnownEntries(store.cache)
    let estimator = TimeEstimator(entries)
    var plans = try points.map { point in
      var plan = try Planner(stages(of: point), store, entries).plan()
      for index in plan.stages.indices where plan.stages[index].name != "base" {
        plan.stages[index].estimate = try estimator.estimate(plan.stages[index].open)
      }
      return plan
    }
    let identities = try points.map { try models.base($0.baseModel, from: $0.folder).identity }
    for index in plans.indices where plans[index].untimed != .nothing {
      let parts = try partTimes(of: points[index], in: times)
      // All that is needed of a model at one go, so that the time left can be told meanwhile.
      let alike = plans.indices.filter { identities[$0] == identities[index] }
      try parts.measure(alike.reduce(.nothing) { $0 + plans[$1].untimed }.parts)
      try plans[index].time { TimeEstimate(seconds: try parts.seconds($0), basis: .measurement) }
    }
    return plans
  }

  /// What the parts of a point's base model take on this machine.
  public func partTimes(of point: ExperimentPoint, in times: ModelTimes) throws -> PartTimes {
    let base = try models.base(point.baseModel, from: point.folder)
    return try times.times(of: base) { try models.load(base) }
  }
}

extension Plan {
  /// The work of the stages of which the past tells nothing, so that the model has to be timed.
  fileprivate var untimed: ModelWork {
    stages.filter { $0.estimate == nil }.reduce(.nothing) { $0 + ($1.open?.work ?? .nothing) }
  }

  fileprivate mutating func time(_ estimate: (ModelWork) throws -> TimeEstimate) rethrows {
    for index in stages.indices where stages[index].estimate == nil {
      if let work = stages[index].open?.work { stages[index].estimate = try estimate(work) }
    }
  }
}
