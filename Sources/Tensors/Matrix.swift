internal import COpenBLAS

/// A matrix that has no decomposition, in one sentence.
public struct MatrixError: Error, Equatable, CustomStringConvertible {
  public let description: String
}

/// A dense matrix of float64 values in row-major order, for statistics that float32 is too coarse for.
///
/// Products and decompositions run on OpenBLAS and its LAPACK, on one thread. Sizes that do not fit are programming
/// errors.
public struct Matrix: Equatable, Sendable {
  public let rows: Int
  public let columns: Int
  /// `rows * columns` values.
  public private(set) var values: [Double]

  public init(_ values: [Double], rows: Int, columns: Int) {
    precondition(values.count == rows * columns, "\(values.count) values do not fill \(rows) x \(columns)")
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// A tensor of shape (rows, columns), widened.
  public init(_ tensor: Tensor) {
    precondition(tensor.rank == 2, "a tensor of shape \(tensor.shape) is not a matrix")
    self.init(tensor.withUnsafeValues { $0.map(Double.init) }, rows: tensor.shape[0], columns: tensor.shape[1])
  }

  /// The rows of several matrices of one width, one below the other.
  public init(stacking parts: [Matrix], columns: Int) {
    precondition(parts.allSatisfy { $0.columns == columns }, "matrices of other than \(columns) columns to stack")
    self.init(parts.flatMap(\.values), rows: parts.reduce(0) { $0 + $1.rows }, columns: columns)
  }

  public subscript(row: Int, column: Int) -> Double { values[row * columns + column] }

  /// The rows at `indices`, in that order.
  public func selectingRows(_ indices: some Collection<Int>) -> Matrix {
    let selected = indices.flatMap { values[$0 * columns..<($0 + 1) * columns] }
    return Matrix(selected, rows: indices.count, columns: columns)
  }

  /// The sum of the diagonal.
  public var trace: Double { (0..<min(rows, columns)).reduce(0) { $0 + self[$1, $1] } }

  /// The product with `other`, either of them transposed first where asked for.
  public func times(_ other: Matrix, transposed: Bool = false, otherTransposed: Bool = false) -> Matrix {
    let (m, k) = transposed ? (columns, rows) : (rows, columns)
    let (otherK, n) = otherTransposed ? (other.columns, other.rows) : (other.rows, other.columns)
    precondition(k == otherK, "a product of \(m) x \(k) and \(otherK) x \(n)")
    var product = [Double](repeating: 0, count: m * n)
    if m > 0, n > 0, k > 0 {
      _ = BLAS.ready
      cblas_dgemm(
        CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, otherTransposed ? CblasTrans : CblasNoTrans,
        blasint(m), blasint(n), blasint(k), 1, values, blasint(columns), other.values, blasint(other.columns), 0,
        &product, blasint(n))
    }
    return Matrix(product, rows: m, columns: n)
  }

  /// The root of the sum of squares of all values (Frobenius norm).
  public var norm: Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  /// The means of the columns.
  public var columnMeans: [Double] {
    var sums = [Double](repeating: 0, count: columns)
    for row in 0..<rows {
      for column in 0..<columns { sums[column] += values[row * columns + column] }
    }
    return sums.map { $0 / Double(rows) }
  }

  /// The sample covariance of the columns, that is with N - 1 under it; rows are samples, two or more.
  public var columnCovariance: Matrix {
    precondition(rows >= 2, "a covariance of \(rows) samples")
    let means = columnMeans
    var centred = self
    for row in 0..<rows {
      for column in 0..<columns { centred.values[row * columns + column] -= means[column] }
    }
    var covariance = centred.times(centred, transposed: true)
    for index in covariance.values.indices { covariance.values[index] /= Double(rows - 1) }
    return covariance
  }

  /// The symmetric square root of a symmetric matrix without negative eigenvalues. What rounding leaves below zero
  /// counts as zero, so a singular matrix has a root like any other.
  ///
  /// - Throws: ``MatrixError`` where a value is not finite or the eigenvalues do not converge.
  public func symmetricSquareRoot() throws -> Matrix {
    var (roots, vectors) = try symmetricEigenvectors()
    for index in roots.indices { roots[index] = max(roots[index], 0).squareRoot() }
    var scaled = vectors
    for row in 0..<rows {
      for column in 0..<columns { scaled.values[row * columns + column] *= roots[row] }
    }
    // Rows are eigenvectors here: root = Vᵀ diag(√λ) V.
    return vectors.times(scaled, transposed: true)
  }

  /// The eigenvalues of a symmetric matrix in ascending order, and their eigenvectors, each a row.
  ///
  /// - Throws: ``MatrixError`` where a value is not finite or the eigenvalues do not converge.
  public func symmetricEigenvectors() throws -> (values: [Double], vectors: Matrix) {
    precondition(rows == columns, "eigenvalues of \(rows) x \(columns)")
    try refuseWhatIsNotFinite()
    guard rows > 0 else { return ([], self) }
    _ = BLAS.ready
    // LAPACK writes vectors as columns of a column-major matrix: rows of ours.
    var (order, info, vectors) = (blasint(rows), blasint(0), values)
    var eigenvalues = [Double](repeating: 0, count: rows)
    var (wantedSize, wantedIntegers, query) = (0.0, blasint(0), blasint(-1))
    dsyevd_("V", "U", &order, &vectors, &order, &eigenvalues, &wantedSize, &query, &wantedIntegers, &query, &info, 1, 1)
    var work = [Double](repeating: 0, count: max(1, Int(wantedSize)))
    var integers = [blasint](repeating: 0, count: max(1, Int(wantedIntegers)))
    var (size, integerCount) = (blasint(work.count), blasint(integers.count))
    dsyevd_("V", "U", &order, &vectors, &order, &eigenvalues, &work, &size, &integers, &integerCount, &info, 1, 1)
    guard info == 0 else {
      throw MatrixError(description: "the eigenvalues of a \(rows) x \(rows) matrix do not converge")
    }
    return (eigenvalues, Matrix(vectors, rows: rows, columns: columns))
  }

  /// The singular values in descending order.
  ///
  /// - Throws: ``MatrixError`` where a value is not finite or the values do not converge.
  public func singularValues() throws -> [Double] {
    try refuseWhatIsNotFinite()
    let smaller = min(rows, columns)
    guard smaller > 0 else { return [] }
    _ = BLAS.ready
    // Read column by column this is the transposed matrix, which has the same singular values.
    var (m, n, one, info, content) = (blasint(columns), blasint(rows), blasint(1), blasint(0), values)
    var singular = [Double](repeating: 0, count: smaller)
    var integers = [blasint](repeating: 0, count: 8 * smaller)
    var (none, unused, wantedSize, query) = (0.0, 0.0, 0.0, blasint(-1))
    dgesdd_(
      "N", &m, &n, &content, &m, &singular, &none, &one, &unused, &one, &wantedSize, &query, &integers, &info, 1)
    var work = [Double](repeating: 0, count: max(1, Int(wantedSize)))
    var size = blasint(work.count)
    dgesdd_("N", &m, &n, &content, &m, &singular, &none, &one, &unused, &one, &work, &size, &integers, &info, 1)
    guard info == 0 else {
      throw MatrixError(description: "the singular values of a \(rows) x \(columns) matrix do not converge")
    }
    return singular
  }

  /// X with X A = B, where A is this matrix, symmetric and positive definite, and B has as many columns as A: by the
  /// Cholesky decomposition, without forming the inverse.
  ///
  /// - Throws: ``MatrixError`` where a value is not finite or the matrix is not positive definite.
  public func solved(for right: Matrix) throws -> Matrix {
    precondition(rows == columns && right.columns == rows, "a solution for \(rows) x \(columns) and \(right.columns)")
    try refuseWhatIsNotFinite()
    try right.refuseWhatIsNotFinite()
    guard rows > 0, right.rows > 0 else { return right }
    _ = BLAS.ready
    // A row of ours is a column of LAPACK's, and A is its own transpose: A Xᵀ = Bᵀ is what it solves.
    var (order, sides, info) = (blasint(rows), blasint(right.rows), blasint(0))
    var (factor, solution) = (values, right.values)
    dposv_("L", &order, &sides, &factor, &order, &solution, &order, &info, 1)
    guard info == 0 else {
      throw MatrixError(description: "a \(rows) x \(columns) matrix is not positive definite")
    }
    return Matrix(solution, rows: right.rows, columns: rows)
  }

  /// The tensor of the same values, rounded to float32, of shape (rows, columns).
  public var tensor: Tensor { Tensor(values.map(Float.init), shape: [rows, columns]) }

  public static func identity(_ size: Int, scale: Double = 1) -> Matrix {
    var values = [Double](repeating: 0, count: size * size)
    for index in 0..<size { values[index * size + index] = scale }
    return Matrix(values, rows: size, columns: size)
  }

  public static func + (left: Matrix, right: Matrix) -> Matrix {
    precondition(left.rows == right.rows && left.columns == right.columns, "a sum of matrices of two sizes")
    return Matrix(zip(left.values, right.values).map(+), rows: left.rows, columns: left.columns)
  }

  public static func - (left: Matrix, right: Matrix) -> Matrix { left + right * -1 }

  public static func * (left: Matrix, scale: Double) -> Matrix {
    Matrix(left.values.map { $0 * scale }, rows: left.rows, columns: left.columns)
  }

  private func refuseWhatIsNotFinite() throws {
    guard values.allSatisfy(\.isFinite) else {
      throw MatrixError(description: "a \(rows) x \(columns) matrix holds a value that is not a finite number")
    }
  }
}
