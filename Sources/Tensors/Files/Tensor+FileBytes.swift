extension Tensor {
  /// The values as a file keeps them, in float32 or rounded to the nearest float16: of one tensor at a time, so that
  /// what is written is in memory twice for no more than that.
  func withFileBytes(half: Bool, _ body: (UnsafeRawBufferPointer) -> Void) {
    guard half else { return withUnsafeValues { body(UnsafeRawBufferPointer($0)) } }
    let rounded = halved().storage
    withExtendedLifetime(rounded) { body(UnsafeRawBufferPointer(start: rounded.halves, count: rounded.byteCount)) }
  }
}
