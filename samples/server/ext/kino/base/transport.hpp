// SPDX-License-Identifier: MIT
//
// The bytes between one connection and its client, whatever carries them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <sys/uio.h>

namespace kino::server {

/// What became of one read or write.
struct io_result {
  enum class state : std::uint8_t {
    done,            ///< `bytes` were read or written; they may be fewer than there was room for.
    end,             ///< Reading: the client sends no more. Sending a file: it ends here.
    wants_readable,  ///< Nothing was done: try again when the descriptor is readable ...
    wants_writable,  ///< ... or writable. An encrypted connection may have to read before it can write.
    failed,          ///< The connection is lost.
  };
  state what;
  std::size_t bytes = 0;

  [[nodiscard]] bool done() const { return what == state::done; }
  [[nodiscard]] bool failed() const { return what == state::failed; }
};

/// A transport moves the bytes of one connection. It knows nothing of their meaning.
///
/// Threads: `read_some` by the I/O thread, without a lock; all else under the lock of the
///          response_pipeline, so a worker writes its response itself. A transport in which reading
///          and writing share state protects that itself.
/// Blocks:  never, except for `send_file`.  Errors: results; nothing throws.
/// Lifetime: closed by `close` or the destructor. After `close` only the destructor is called.
class transport {
public:
  enum class ending : std::uint8_t {
    orderly,  ///< The client sees the end of the stream.
    reset,    ///< The client sees an error: what it has is incomplete.
  };

  virtual ~transport() = default;

  /// Reads at least one byte; `into` is not empty.
  [[nodiscard]] virtual io_result read_some(std::span<char> into) noexcept = 0;
  /// Whether `read_some` has bytes of which the descriptor tells nothing: those that a previous call has
  /// taken from it, decrypted perhaps, but had no room for. The I/O thread, without a lock.
  [[nodiscard]] virtual bool has_input() const noexcept { return false; }
  /// Writes the beginning of `pieces`, which hold at least one byte. Those that are left come first in the next call.
  [[nodiscard]] virtual io_result write_some(std::span<iovec const> pieces) noexcept = 0;
  /// Whether `send_file` can be used; always the same.
  [[nodiscard]] virtual bool sends_files() const noexcept { return false; }
  /// Writes the beginning of `length` bytes of a file; `end`: it has none there, or cannot be read. The I/O thread, since it may
  /// have to wait for the disk.
  [[nodiscard]] virtual io_result send_file(int /*file*/, std::uint64_t /*offset*/, std::size_t /*length*/) noexcept {
    return {io_result::state::failed};
  }
  /// Ends the stream to the client, which may still send.
  virtual void shutdown_write() noexcept = 0;
  virtual void close(ending how) noexcept = 0;

  /// Bytes written that the client's side has not acknowledged; 0 where the system does not tell.
  [[nodiscard]] virtual std::uint64_t unacknowledged() const noexcept = 0;
  /// What the two sides have agreed to speak, as ALPN names it (RFC 7301); empty: nothing is agreed. The I/O thread, without
  /// a lock, once something has been read; valid as long as the transport.
  [[nodiscard]] virtual std::string_view application_protocol() const noexcept { return {}; }
  /// What an event loop watches for the transport.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;
  /// A new descriptor of the same socket, which the caller owns and which `close` does not end; -1 if there is none, or
  /// if its bytes are not those of this transport.
  [[nodiscard]] virtual int duplicate() const noexcept { return -1; }
};

}  // namespace kino::server
