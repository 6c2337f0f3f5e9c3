internal import CLibPNG
internal import Configuration

/// A picture file that cannot be read or written; `description` is one sentence that names the file.
public struct ImageFileError: Error, Equatable, CustomStringConvertible {
  public let file: String
  public let message: String
  public var description: String { "\(file): \(message)" }
}

/// PNG files through libpng's simplified interface (its classic one needs `setjmp`, which Swift cannot import).
public enum PNG {
  /// Reads any PNG as 8-bit red, green, blue; an alpha channel is laid over white.
  public static func read(_ path: String) throws(ImageFileError) -> RGBImage {
    let bytes: [UInt8]
    do throws(UnreadableFile) {
      bytes = try contents(of: path)
    } catch {
      throw ImageFileError(file: path, message: error.reason)
    }
    return try decode(bytes, file: path)
  }

  /// Decodes the bytes of a PNG file; `file` is the name that an error gives.
  public static func decode(_ bytes: [UInt8], file: String) throws(ImageFileError) -> RGBImage {
    let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    guard bytes.starts(with: signature) else {
      throw ImageFileError(file: file, message: "is not a PNG file (its first eight bytes are not the PNG signature)")
    }
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    defer { png_image_free(&image) }
    // libpng keeps the address between the two calls, so both happen while the buffer is pinned.
    let pixels: [UInt8]? = bytes.withUnsafeBytes { source in
      guard png_image_begin_read_from_memory(&image, source.baseAddress, source.count) != 0 else { return nil }
      image.format = UInt32(PNG_FORMAT_RGB)
      let count = 3 * Int(image.width) * Int(image.height)
      guard count <= 1 << 30 else { return nil }
      var white = png_color(red: 255, green: 255, blue: 255)
      var target = [UInt8](repeating: 0, count: count)
      guard png_image_finish_read(&image, &white, &target, Int32(3 * image.width), nil) != 0 else { return nil }
      return target
    }
    guard let pixels else {
      throw ImageFileError(file: file, message: "is a damaged or truncated PNG file (\(reason(&image)))")
    }
    return RGBImage(width: Int(image.width), height: Int(image.height), pixels: pixels)
  }

  /// The bytes of a PNG file. The same picture always gives the same bytes with the same libpng and zlib.
  public static func encode(_ picture: RGBImage) throws(ImageFileError) -> [UInt8] {
    var image = png_image()
    image.version = UInt32(PNG_IMAGE_VERSION)
    image.width = UInt32(picture.width)
    image.height = UInt32(picture.height)
    image.format = UInt32(PNG_FORMAT_RGB)
    defer { png_image_free(&image) }
    // The largest file that deflate can make of these rows (one filter byte each), so that one call is enough.
    let rows = (3 * picture.width + 1) * picture.height
    var size = rows + rows / 1000 + 4096
    var bytes = [UInt8](repeating: 0, count: size)
    guard png_image_write_to_memory(&image, &bytes, &size, 0, picture.pixels, Int32(3 * picture.width), nil) != 0 else {
      throw ImageFileError(file: "PNG", message: "cannot encode the picture (\(reason(&image)))")
    }
    return [UInt8](bytes[..<size])
  }

  /// Writes `picture` to `path`, replacing a file that is there.
  public static func write(_ picture: RGBImage, to path: String) throws(ImageFileError) {
    let bytes = try encode(picture)
    do throws(FileError) {
      try WholeFile.write(bytes, to: path)
    } catch {
      throw ImageFileError(file: error.path, message: error.message)
    }
  }

  private static func reason(_ image: inout png_image) -> String {
    let text = withUnsafeBytes(of: &image.message) { buffer in
      String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
    return text.isEmpty ? "too large" : text
  }
}
