/// What a pickle is about: the values that the files of PyTorch are made of, and no others.
enum PickledValue {
  case none
  case boolean(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  /// Collections by their place in ``Pickle/collections``: they are filled after they are made, and may be shared.
  case list(Int)
  case tuple(Int)
  case dictionary(Int)
  /// The name of a class or function of Python, of those that a pickle may name.
  case global(String)
  /// What lies in another entry of the archive.
  case storage(PickledStorage)
  case tensor(PickledTensor)
  /// A number of NumPy's, or what one is made of.
  case numpy
}

/// The numbers that tensors are views of.
struct PickledStorage {
  /// As safetensors calls it: `F32`.
  let dataType: String
  /// The entry that holds them is named after it.
  let key: String
  let count: Int
}

/// A view of a storage. Its numbers are as the pickle has them: nothing is checked yet.
struct PickledTensor {
  let storage: PickledStorage
  let offset: Int
  let shape: [Int]
  let strides: [Int]

  /// Whether the numbers lie one after the other, the last axis fastest.
  var isDense: Bool {
    var step = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      if stride != step { return false }
      step *= extent
    }
    return true
  }
}

/// A pickle that has been read. Collections lie side by side whatever holds which: freeing a deep nest of them would
/// need as deep a stack.
struct Pickle {
  var root = PickledValue.none
  /// Items of lists and tuples; key, value, key, value of dictionaries.
  var collections: [[PickledValue]] = []

  /// The entries of a dictionary with text for a key; nil for anything else than a dictionary.
  func entries(_ value: PickledValue) -> [(key: String, value: PickledValue)]? {
    guard case .dictionary(let place) = value else { return nil }
    let items = collections[place]
    return stride(from: 0, to: items.count - 1, by: 2).compactMap { index in
      guard case .string(let key) = items[index] else { return nil }
      return (key, items[index + 1])
    }
  }

  /// The items of a list or tuple; nil for anything else.
  func items(_ value: PickledValue) -> [PickledValue]? {
    switch value {
    case .list(let place), .tuple(let place): collections[place]
    default: nil
    }
  }
}
