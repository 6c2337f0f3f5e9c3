/// Makes the scatter plot of two columns of a table.
enum PlotBuilder {
  /// The plot, with the labels of rows that have no place in it because one of the two values is missing; `nil` if no
  /// row has both. Where a value was measured in several ways, one way is shown: the one that most rows share.
  static func plot(
    _ spec: ScatterSpec, of table: ReportTable
  ) -> (plot: ScatterPlot, left: [String], columns: (x: ReportTable.Column, y: ReportTable.Column))? {
    func columns(of metric: String) -> [Int] {
      table.columns.indices.filter {
        table.columns[$0].key == metric || table.columns[$0].key.hasPrefix(metric + "#")
      }
    }
    var best: (x: Int, y: Int, rows: Int)?
    for x in columns(of: spec.x) {
      for y in columns(of: spec.y) {
        let rows = table.rows.count { $0.cells[x] != nil && $0.cells[y] != nil }
        if rows > best?.rows ?? 0 { best = (x, y, rows) }
      }
    }
    guard let best else { return nil }
    var series: [(technique: String, series: ScatterPlot.Series)] = []
    var left: [String] = []
    for row in table.rows {
      guard let x = row.cells[best.x], let y = row.cells[best.y] else {
        left.append(row.label)
        continue
      }
      let mark = ScatterPlot.Mark(
        label: row.label, x: x.mean, y: y.mean, xDeviation: x.deviation, yDeviation: y.deviation)
      if !row.isReference,
        let index = series.firstIndex(where: { !$0.series.isReference && $0.technique == row.technique })
      {
        series[index].series.marks.append(mark)
      } else {
        series.append((row.technique, ScatterPlot.Series(isReference: row.isReference, marks: [mark])))
      }
    }
    let x = table.columns[best.x]
    let y = table.columns[best.y]
    let plot = ScatterPlot(
      title: table.title, x: ScatterPlot.Quantity(name: x.header, better: x.better, scale: spec.xScale),
      y: ScatterPlot.Quantity(name: y.header, better: y.better, scale: spec.yScale), series: series.map(\.series),
      showsFront: spec.front)
    return (plot, left, (x, y))
  }
}
