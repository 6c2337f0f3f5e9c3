public import Diffusion

extension CLIPTextConfig {
  /// The work of encoding so many prompts, padded to the full length.
  public func arithmetic(prompts: Int) -> Arithmetic {
    let (positions, hidden, inner) = (maxPositions, tower.hiddenSize, tower.intermediateSize)
    let rows = prompts * positions
    var arithmetic = Arithmetic()
    func linear(_ name: String, from inputs: Int, to outputs: Int) {
      arithmetic.add(name, .linear(batch: prompts, rows: positions, inputs: inputs, outputs: outputs))
    }
    for index in 0..<tower.layers {
      let layer = "text_model.encoder.layers.\(index)"
      arithmetic.add("\(layer).layer_norm1", .layerNorm(rows: rows, width: hidden))
      for part in ["q_proj", "k_proj", "v_proj"] { linear("\(layer).self_attn.\(part)", from: hidden, to: hidden) }
      arithmetic.add(
        "\(layer).self_attn",
        .attention(batch: prompts, targets: positions, sources: positions, width: hidden, heads: tower.heads))
      linear("\(layer).self_attn.out_proj", from: hidden, to: hidden)
      arithmetic.add(layer, .sum(count: rows * hidden))
      arithmetic.add("\(layer).layer_norm2", .layerNorm(rows: rows, width: hidden))
      linear("\(layer).mlp.fc1", from: hidden, to: inner)
      arithmetic.add("\(layer).mlp", .activation(count: rows * inner))
      linear("\(layer).mlp.fc2", from: inner, to: hidden)
      arithmetic.add(layer, .sum(count: rows * hidden))
    }
    arithmetic.add("text_model.final_layer_norm", .layerNorm(rows: rows, width: hidden))
    return arithmetic
  }
}
