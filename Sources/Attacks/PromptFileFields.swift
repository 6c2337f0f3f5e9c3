public import Configuration

/// The fields by which attacks, and metrics with an attack of their own, read its prompts from a file or write them.
public func promptFileFields<Root>(
  _ read: any WritableKeyPath<Root, String?> & Sendable, _ written: any WritableKeyPath<Root, String?> & Sendable,
  writtenKey: String = "generated_prompts_output"
) -> [Field<Root>] {
  [
    Field(
      "precomputed_prompts_path", read, .notEmpty,
      "A CSV file with the column adversarial_prompt that takes the place of the search", role: .path),
    Field(
      writtenKey, written, .notEmpty, "A CSV file that the prompts are also written to",
      affectsResult: false, role: .path),
  ]
}
