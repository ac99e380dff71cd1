// SPDX-License-Identifier: MIT
//
// Makes messages of the bytes that the client of a WebSocket sends.

#pragma once

#include "base/byte_buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace kino::server {

/// A message from a client.
struct websocket_message {
  bool text;
  bool compressed;  ///< Text is then not known to be UTF-8.
  std::string_view data;
};

/// A websocket_reader takes the frames of one client apart, with wslay: masks, fragments, the order of frames, UTF-8.
///
/// It has memory for what is incomplete, and none otherwise: a connection between two messages costs nothing here.
///
/// After a close frame, or a frame that breaks a rule, it takes nothing more.
///
/// Threads: one at a time, the same one as long as something is incomplete.
/// Errors:  std::bad_alloc, and what the sink throws; the reader can then do no more.
class websocket_reader {
public:
  /// What the frames say.
  class sink {
  public:
    /// A message is complete. The views of all calls are valid during them.
    virtual void on_message(websocket_message const& one) = 0;
    virtual void on_ping(std::string_view data) = 0;
    /// The client closes; `status` is close_code::none if it gave none.
    virtual void on_close(std::uint16_t status) = 0;
    /// A frame breaks a rule, as this status says: a close_code.
    virtual void on_violation(std::uint16_t status) = 0;

  protected:
    ~sink() = default;
  };

  /// Whether the server was built with wslay. Without it, nothing else may be called.
  [[nodiscard]] static bool available() noexcept;

  /// Messages of more than `longest` bytes break a rule. `compression`: there may be compressed ones, of up to
  /// most_compressed(longest) bytes.
  websocket_reader(sink& to, std::size_t longest, bool compression);
  websocket_reader(websocket_reader const&) = delete;
  ~websocket_reader();

  /// Takes bytes from the client.
  void receive(std::string_view bytes);
  /// Whether there is something incomplete, for which it has memory.
  [[nodiscard]] bool incomplete() const { return session_ != nullptr; }

private:
  class session;

  struct deleter {
    void operator()(session* used) const noexcept;
  };

  sink& sink_;
  // Not used without wslay.
  [[maybe_unused]] std::size_t const longest_;
  [[maybe_unused]] bool const compression_;
  std::unique_ptr<session, deleter> session_;
  bool ended_ = false;
};

}  // namespace kino::server
