extension Duration {
  /// The duration as a number of seconds.
  var inSeconds: Double { self / .seconds(1) }
}

extension [Double] {
  /// The value in the middle, or the mean of the two in the middle.
  /// - Precondition: there is a value.
  public var median: Double {
    let values = sorted()
    return (values[(count - 1) / 2] + values[count / 2]) / 2
  }
}
