// SPDX-License-Identifier: MIT
//
// An encrypted connection: TLS on top of another transport.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/transport.hpp"
#include "tls/tls_library.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>

namespace kino::server {

/// A handshake_observer is told how the handshake of one connection ended. It is called at most once, by the thread
/// that reads, and destroyed soon after, or with a connection that was closed before.
class handshake_observer {
public:
  virtual ~handshake_observer() = default;
  /// The session is complete; the next bytes are a request.
  virtual void succeeded(tls::session const& with) noexcept = 0;
  /// The connection is lost; `words` describe it.
  virtual void failed(tls::failure why, char const* words) noexcept = 0;
};

/// A tls_transport is the server's end of a TLS connection.
///
/// The handshake happens inside `read_some`, so the first read also waits for it; reading may then want to write.
/// Renegotiation is refused. A client that speaks plain HTTP gets one response in plain text, 400.
///
/// Bytes that are encrypted must be sent, so a write that the lower transport takes in part is remembered: its bytes
/// count as written once all of them have been, and until then every write wants to write.
///
/// One call of the lower transport writes up to `batch` bytes, in several records. An idle connection keeps no buffers.
///
/// Threads: as transport. A leaf lock protects the session, which reads and writes share.
/// Blocks:  never, but the lock is held while a handshake computes, and no response is written before its end.
class tls_transport final : public transport {
public:
  /// Bytes that are encrypted at once: four records of the largest size.
  static constexpr std::size_t batch = 64 * 1024;

  /// `observes` may be null. Throws std::bad_alloc; then `lower` is closed.
  tls_transport(std::unique_ptr<transport> lower, tls::context& with, std::unique_ptr<handshake_observer> observes);
  ~tls_transport() override;
  tls_transport(tls_transport const&) = delete;

  [[nodiscard]] io_result read_some(std::span<char> into) noexcept override;
  [[nodiscard]] bool has_input() const noexcept override { return has_input_; }
  [[nodiscard]] io_result write_some(std::span<iovec const> pieces) noexcept override;
  /// Sends close_notify.
  void shutdown_write() noexcept override;
  /// After a reset, close_notify is missing, so the client sees that the stream is incomplete.
  void close(ending how) noexcept override;
  /// In bytes of the encrypted stream, without those of `write_some` that do not count as written yet.
  [[nodiscard]] std::uint64_t unacknowledged() const noexcept override;
  [[nodiscard]] int descriptor() const noexcept override { return lower_->descriptor(); }
  [[nodiscard]] std::string_view application_protocol() const noexcept override { return application_protocol_; }

private:
  enum class phase : std::uint8_t { handshake, open, failed };

  // What the session reads from and writes to.
  static std::ptrdiff_t read_wire(void* self, char* into, std::size_t room) noexcept;
  static bool write_wire(void* self, char const* data, std::size_t size) noexcept;

  [[nodiscard]] std::ptrdiff_t receive(char* into, std::size_t room) noexcept;
  [[nodiscard]] io_result read_session(std::span<char> into) noexcept;
  void look_at_handshake() noexcept;
  void fail() noexcept;
  void answer_plain_http() noexcept;
  [[nodiscard]] bool decryptable() const;
  void end_stream() noexcept;
  [[nodiscard]] io_result flush() noexcept;
  [[nodiscard]] bool encrypt(std::span<iovec const> pieces, std::size_t skipped) noexcept;

  std::unique_ptr<transport> const lower_;
  std::mutex mutable mutex_;
  tls::session_ptr session_;
  std::unique_ptr<handshake_observer> observer_;
  byte_buffer received_;  // encrypted
  byte_buffer unsent_;    // encrypted
  std::size_t ahead_ = 0;  // bytes at the beginning of the next write that have been encrypted already
  io_result last_read_{io_result::state::wants_readable};  // of the lower transport
  std::size_t wanted_ = 0;  // bytes that the reader has room for
  std::string_view application_protocol_;  // of the session
  phase phase_ = phase::handshake;
  bool flight_unsent_ = false;  // of our part of the handshake, something has to be written before the next read
  bool has_input_ = false;  // the reader's
  bool open_ = true;
};

}  // namespace kino::server
