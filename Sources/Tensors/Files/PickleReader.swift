internal import Configuration

/// Reads the pickles of PyTorch's files without running anything.
///
/// A pickle is a program for a stack machine that may name and call any function of Python. This one knows the
/// instructions that put tensors, dictionaries, lists and plain values together, and of functions those that only make
/// such values; every other instruction and every other name is refused.
struct PickleReader {
  private enum Slot {
    case mark
    case value(PickledValue)
  }

  private let bytes: UnsafeRawBufferPointer
  private let path: String
  private var position = 0
  private var stack: [Slot] = []
  private var memo: [Int: PickledValue] = [:]
  private var pickle = Pickle()

  /// - Parameter path: the file, for errors
  /// - Throws: `FileError` for what is no such pickle.
  static func read(_ bytes: UnsafeRawBufferPointer, path: String) throws(FileError) -> Pickle {
    var reader = PickleReader(bytes: bytes, path: path)
    reader.pickle.root = try reader.run()
    return reader.pickle
  }

  private init(bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  // MARK: Instructions

  private mutating func run() throws(FileError) -> PickledValue {
    while true {
      let place = position
      let code = try byte()
      switch Character(Unicode.Scalar(code)) {
      case "\u{80}":
        let version = try byte()
        guard version <= 5 else { throw refuse("a pickle of protocol \(version); 2 to 5 are known") }
      case "\u{95}": _ = try take(8)
      case ".": return try pop()

      case "N": push(.none)
      case "\u{88}": push(.boolean(true))
      case "\u{89}": push(.boolean(false))
      case "K": push(.integer(Int(try byte())))
      case "M": push(.integer(Int(try number(UInt16.self))))
      case "J": push(.integer(Int(try number(Int32.self))))
      case "\u{8a}": push(.integer(try longInteger()))
      case "G": push(.number(Double(bitPattern: try number(UInt64.self).byteSwapped)))
      case "X": push(.string(try text(Int(try number(UInt32.self)))))
      case "\u{8c}": push(.string(try text(Int(try byte()))))
      case "\u{8d}": push(.string(try text(Int(clamping: try number(UInt64.self)))))
      case "T": push(.string(try text(Int(try number(UInt32.self)))))
      case "U": push(.string(try text(Int(try byte()))))

      case "(": stack.append(.mark)
      case "0": _ = try pop()
      case ")": push(.tuple(keep([])))
      case "\u{85}": push(.tuple(keep([try pop()])))
      case "\u{86}": try pushTuple(2)
      case "\u{87}": try pushTuple(3)
      case "t": push(.tuple(keep(try popToMark())))
      case "]": push(.list(keep([])))
      case "l": push(.list(keep(try popToMark())))
      case "a": try append([try pop()])
      case "e": try append(popToMark())
      case "}": push(.dictionary(keep([])))
      case "d":
        let items = try popToMark()
        push(.dictionary(keep([])))
        try set(items)
      case "s":
        let value = try pop()
        try set([try pop(), value])
      case "u": try set(popToMark())

      case "q": memo[Int(try byte())] = try top()
      case "r": memo[Int(try number(UInt32.self))] = try top()
      case "\u{94}": memo[memo.count] = try top()
      case "h": push(try remembered(Int(try byte())))
      case "j": push(try remembered(Int(try number(UInt32.self))))

      case "c": push(try global(module: line(), name: line()))
      case "\u{93}":
        let (name, module) = (try pop(), try pop())
        guard case .string(let name) = name, case .string(let module) = module else {
          throw refuse("a name of Python that is no text, at byte \(place)")
        }
        push(try global(module: module, name: name))
      case "Q": push(try storage(pop()))
      case "R":
        let (arguments, function) = (try pop(), try pop())
        push(try call(function, arguments))
      case "b":
        // What PyTorch hangs on the dictionary of a module says nothing of tensors.
        _ = try pop()
        switch try top() {
        case .dictionary, .numpy: break
        default: throw refuse("the state of something else than a dictionary")
        }

      default:
        let digits = String(code, radix: 16, uppercase: true)
        throw refuse("the instruction 0x\(digits) at byte \(place), which no file of tensors needs")
      }
    }
  }

  /// The names that may stand in a file of tensors. None of them is looked up anywhere. Those of numbers are here with
  /// what safetensors calls their data type.
  private static let storages = [
    "torch.FloatStorage": "F32", "torch.HalfStorage": "F16", "torch.BFloat16Storage": "BF16",
    "torch.DoubleStorage": "F64", "torch.LongStorage": "I64", "torch.IntStorage": "I32", "torch.ShortStorage": "I16",
    "torch.CharStorage": "I8", "torch.ByteStorage": "U8", "torch.BoolStorage": "BOOL",
  ]
  private static let functions = [
    "collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch.Size",
  ]
  /// Checkpoints of Lightning keep the best score of a training as a number of NumPy's, of which nothing is read: what
  /// makes one is taken as it stands.
  private static let numpy = [
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "_codecs.encode",
  ]
  /// Stable Diffusion v1's own checkpoints have the state of their training's callbacks under the callback's class. The
  /// name stands there as a key; calling it is refused as calling any other.
  private static let keys = [
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", "pytorch_lightning.callbacks.ModelCheckpoint",
  ]

  private func global(module: String, name: String) throws(FileError) -> PickledValue {
    let full = "\(module).\(name)"
    let isStorage = Self.storages[full] != nil
    if module == "torch", name.hasSuffix("Storage"), !isStorage {
      throw refuse("numbers of the kind \(full), which cannot be read")
    }
    guard isStorage || Self.functions.contains(full) || Self.keys.contains(full) || Self.numpy.contains(full) else {
      throw refuse("the name \(full) of Python, which could run code when it is loaded elsewhere")
    }
    return .global(full)
  }

  /// ('storage', torch.FloatStorage, '0', 'cpu', 1024)
  private func storage(_ reference: PickledValue) throws(FileError) -> PickledValue {
    guard case .tuple = reference, let parts = pickle.items(reference), parts.count == 5,
      case .string("storage") = parts[0],
      case .global(let type) = parts[1], let dataType = Self.storages[type], case .string(let key) = parts[2],
      case .integer(let count) = parts[4], count >= 0
    else { throw refuse("a reference to something else than the numbers of a tensor") }
    return .storage(PickledStorage(dataType: dataType, key: key, count: count))
  }

  private mutating func call(_ function: PickledValue, _ argument: PickledValue) throws(FileError) -> PickledValue {
    guard case .global(let name) = function, case .tuple = argument, let arguments = pickle.items(argument) else {
      throw refuse("a call of something that is no function")
    }
    if Self.numpy.contains(name) { return .numpy }
    switch name {
    case "torch._utils._rebuild_tensor_v2":
      guard arguments.count >= 4, case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1],
        let shape = integers(arguments[2]), let strides = integers(arguments[3])
      else { break }
      return .tensor(PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides))
    case "torch._utils._rebuild_parameter":
      guard case .tensor(let tensor)? = arguments.first else { break }
      return .tensor(tensor)
    case "torch.Size":
      guard arguments.count == 1, integers(arguments[0]) != nil else { break }
      return arguments[0]
    case "collections.OrderedDict":
      guard arguments.isEmpty else { break }
      return .dictionary(keep([]))
    default: break
    }
    throw refuse("a call of \(name) with other arguments than PyTorch writes")
  }

  private func integers(_ value: PickledValue) -> [Int]? {
    guard let items = pickle.items(value) else { return nil }
    let numbers = items.compactMap { if case .integer(let number) = $0 { number } else { nil } as Int? }
    return numbers.count == items.count ? numbers : nil
  }

  // MARK: The stack

  private mutating func push(_ value: PickledValue) { stack.append(.value(value)) }

  private mutating func pop() throws(FileError) -> PickledValue {
    guard case .value(let value)? = stack.popLast() else { throw refuse("an instruction without its value") }
    return value
  }

  private func top() throws(FileError) -> PickledValue {
    guard case .value(let value)? = stack.last else { throw refuse("an instruction without its value") }
    return value
  }

  private mutating func popToMark() throws(FileError) -> [PickledValue] {
    var values: [PickledValue] = []
    while let slot = stack.popLast() {
      guard case .value(let value) = slot else { return values.reversed() }
      values.append(value)
    }
    throw refuse("a collection without a beginning")
  }

  private mutating func pushTuple(_ count: Int) throws(FileError) {
    var values: [PickledValue] = []
    for _ in 0..<count { values.append(try pop()) }
    push(.tuple(keep(values.reversed())))
  }

  /// A new collection's place.
  private mutating func keep(_ items: [PickledValue]) -> Int {
    pickle.collections.append(items)
    return pickle.collections.count - 1
  }

  private mutating func append(_ items: [PickledValue]) throws(FileError) {
    guard case .list(let place) = try top() else { throw refuse("items of something that is no list") }
    pickle.collections[place] += items
  }

  private mutating func set(_ items: [PickledValue]) throws(FileError) {
    guard case .dictionary(let place) = try top(), items.count % 2 == 0 else {
      throw refuse("entries of something that is no dictionary")
    }
    pickle.collections[place] += items
  }

  private func remembered(_ index: Int) throws(FileError) -> PickledValue {
    guard let value = memo[index] else { throw refuse("a reference to a value that was not kept") }
    return value
  }

  // MARK: Bytes

  private mutating func take(_ count: Int) throws(FileError) -> Range<Int> {
    guard count >= 0, count <= bytes.count - position else { throw FileError(path, "truncated: its pickle ends early") }
    defer { position += count }
    return position..<position + count
  }

  private mutating func byte() throws(FileError) -> UInt8 { bytes[try take(1).lowerBound] }

  private mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(FileError) -> Number {
    let place = try take(MemoryLayout<Number>.size).lowerBound
    return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: type))
  }

  /// A number of as many bytes as a first one says, its sign in the highest bit.
  private mutating func longInteger() throws(FileError) -> Int {
    let count = Int(try byte())
    guard count <= 8 else { throw refuse("a number of \(count) bytes") }
    let digits = bytes[try take(count)]
    let bits = digits.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard count > 0, count < 8, let last = digits.last, last & 0x80 != 0 else { return Int(truncatingIfNeeded: bits) }
    return Int(truncatingIfNeeded: bits | ~0 << UInt64(8 * count))
  }

  private mutating func text(_ count: Int) throws(FileError) -> String {
    guard let text = String(validating: bytes[try take(count)], as: UTF8.self) else {
      throw refuse("a text that is no UTF-8")
    }
    return text
  }

  private mutating func line() throws(FileError) -> String {
    let start = position
    while try byte() != UInt8(ascii: "\n") {}
    return String(decoding: bytes[start..<position - 1], as: UTF8.self)
  }

  private func refuse(_ what: String) -> FileError { FileError(path, "its pickle has \(what)") }
}
