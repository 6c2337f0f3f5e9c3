import ArgumentParser
import Glibc

/// How the program ends when it does not end well.
enum Exit {
  /// The status of a program that a signal ended, as shells expect it: 130 after Ctrl-C.
  static var interrupted: ExitCode { ExitCode(128 + (Interruption.wasAsked ? Interruption.signal : SIGINT)) }

  /// For work that keeps what it finished: says so, and answers the status to end with.
  static func resumable() -> ExitCode {
    Console.note("lethe: interrupted; what is finished is kept, and the same command goes on from there")
    return interrupted
  }

  /// Prints an error as one sentence and ends with its status. Help and version, which the parser throws too, go to
  /// standard output and end well.
  static func explain(_ error: any Error, in command: any ParsableCommand.Type) -> Never {
    if let code = error as? ExitCode { end(code) }
    if error is CancellationError {
      Console.note("lethe: interrupted")
      end(interrupted)
    }
    let code = command.exitCode(for: error)
    if code == .success {
      Console.print(command.fullMessage(for: error))
      end(code)
    }
    // The parser's own errors are those of a wrong usage; all others are sentences already.
    let isUsage = code == .validationFailure
    let message = (isUsage ? command.message(for: error) : "\(error)").split(separator: "\n").joined(separator: " ")
    Console.note("lethe: \(Style.red("error:")) \(message)")
    end(code)
  }

  /// Ends with what standard output still holds written.
  static func end(_ code: ExitCode) -> Never {
    Console.flush()
    exit(code.rawValue)
  }
}
