import Tensors
import Testing

@Suite struct MatrixTests {
  private func normal(_ rows: Int, _ columns: Int, _ name: String) -> Matrix {
    Matrix(RandomStream(seed: 3, "matrix", name).normal([rows, columns]))
  }

  @Test func solvesASystemFromTheRight() throws {
    let factor = normal(9, 6, "factor")
    let system = factor.times(factor, transposed: true) + Matrix.identity(6, scale: 0.1)
    let right = normal(4, 6, "right")
    let solution = try system.solved(for: right)
    #expect((solution.times(system) - right).norm < 1e-10 * right.norm)
  }

  @Test func solvesByHand() throws {
    let system = Matrix([4, 2, 2, 3], rows: 2, columns: 2)
    let solution = try system.solved(for: Matrix([8, 8, 2, 3], rows: 2, columns: 2))
    for (found, expected) in zip(solution.values, [1, 2, 0, 1] as [Double]) { #expect(abs(found - expected) < 1e-14) }
  }

  @Test func solvesForNoRowsAtAll() throws {
    #expect(try Matrix.identity(3).solved(for: Matrix([], rows: 0, columns: 3)).values.isEmpty)
  }

  @Test func refusesWhatIsNotPositiveDefiniteOrNotFinite() {
    let right = Matrix([1, 1], rows: 1, columns: 2)
    #expect(throws: MatrixError.self) { try Matrix([1, 1, 1, 1], rows: 2, columns: 2).solved(for: right) }
    #expect(throws: MatrixError.self) { try Matrix([-1, 0, 0, 1], rows: 2, columns: 2).solved(for: right) }
    #expect(throws: MatrixError.self) { try Matrix([.nan, 0, 0, 1], rows: 2, columns: 2).solved(for: right) }
    #expect(throws: MatrixError.self) {
      try Matrix.identity(2).solved(for: Matrix([.infinity, 0], rows: 1, columns: 2))
    }
  }

  @Test func takesRowsAndPutsThemBelowOneAnother() {
    let matrix = Matrix([1, 2, 3, 4, 5, 6], rows: 3, columns: 2)
    #expect(matrix.selectingRows([2, 0]) == Matrix([5, 6, 1, 2], rows: 2, columns: 2))
    #expect(matrix.selectingRows(1..<1) == Matrix([], rows: 0, columns: 2))
    #expect(Matrix(stacking: [matrix.selectingRows(0..<2), matrix.selectingRows([2])], columns: 2) == matrix)
    #expect(Matrix(stacking: [], columns: 2).rows == 0)
  }

  @Test func hasTheNormOfItsValues() {
    #expect(Matrix([3, 0, 0, 4], rows: 2, columns: 2).norm == 5)
    #expect((Matrix([3, 1], rows: 1, columns: 2) - Matrix([1, 1], rows: 1, columns: 2)).values == [2, 0])
  }
}
