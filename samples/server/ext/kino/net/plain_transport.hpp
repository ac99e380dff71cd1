// SPDX-License-Identifier: MIT
//
// A connection without encryption: a stream socket.

#pragma once

#include "base/transport.hpp"

#include <memory>

namespace kino::server {

/// A plain_transport is a transport over a connected TCP or Unix socket. Each call is one system
/// call, and one more for each EINTR.
///
/// Threads: as transport.
class plain_transport final : public transport {
public:
  /// Owns `socket` from now on.
  explicit plain_transport(int socket) noexcept : socket_(socket) {}
  ~plain_transport() override;
  plain_transport(plain_transport const&) = delete;
  /// The same on the heap. Throws std::bad_alloc after closing `socket`.
  [[nodiscard]] static std::unique_ptr<transport> own(int socket);

  [[nodiscard]] io_result read_some(std::span<char> into) noexcept override;
  [[nodiscard]] io_result write_some(std::span<iovec const> pieces) noexcept override;
#ifdef __linux__
  [[nodiscard]] bool sends_files() const noexcept override { return true; }
  [[nodiscard]] io_result send_file(int file, std::uint64_t offset, std::size_t length) noexcept override;
#endif
  void shutdown_write() noexcept override;
  void close(ending how) noexcept override;
  [[nodiscard]] std::uint64_t unacknowledged() const noexcept override;
  [[nodiscard]] int descriptor() const noexcept override { return socket_; }
  [[nodiscard]] int duplicate() const noexcept override;

private:
  int socket_;
};

}  // namespace kino::server
