// SPDX-License-Identifier: MIT
//
// listener: one listening socket.

#pragma once

#include "base/deadline.hpp"
#include "http/endpoint.hpp"
#include "net/accept_turns.hpp"
#include "net/handler_memory.hpp"
#include "net/socket_calls.hpp"

#include <asio/posix/stream_descriptor.hpp>

#include <string>

namespace kino::server {

class http_server;
class io_thread;

/// A listener binds one address, or takes a socket that listens there, and hands the connections it accepts to the
/// http_server.
///
/// Errors while accepting are logged, and accepting is retried later; they never end the process. If
/// the process has no descriptor left, clients get 503 through a reserved one.
///
/// While another process that accepts from the same socket has fewer connections, it leaves the next one to that process, if
/// that does not take long: see process_places and accept_turns.
///
/// The caller must remove the file of a Unix socket, before and after. The file has its mode and owner before
/// a client can connect.
///
/// Threads: constructor and destructor: any; the rest: `home`.
/// Throws:  std::system_error with the address, from the constructor.
class listener {
public:
  listener(http_server& http, io_thread& home, bind_address const& where);
  listener(listener const&) = delete;

  /// The bound address; port 0 is replaced by the port that the system chose, and `socket` is this listener's descriptor,
  /// which is open until `stop`.
  [[nodiscard]] bind_address const& where() const { return where_; }
  /// Whether the socket was given to the constructor: the process that has passed it on may still have it.
  [[nodiscard]] bool was_given() const { return given_; }

  /// Starts accepting, also again after it stopped because of too many connections.
  void start() noexcept;
  /// Accepts the connections that wait, and closes the socket. `last`: no other process will accept from it, so no connection may
  /// come in between.
  void stop(bool last) noexcept;

private:
  void own(int socket);
  void take(int socket);
  void bind_tcp();
  void bind_local();
  void set_permissions();
  void find_address();
  void fail(char const* doing, int error) const;
  void wait() noexcept;
  void accept() noexcept;
  [[nodiscard]] bool leaves_next() noexcept;
  void make_room() noexcept;
  void take_over(int socket, sockaddr_storage const& from) noexcept;
  [[nodiscard]] bool turn_all_away() noexcept;
  void back_off(int error) noexcept;
  void go_on() noexcept;

  http_server& http_;
  bind_address where_;
  bool const given_;
  endpoint local_;
  asio::posix::stream_descriptor socket_;
  deadline pause_;
  spare_descriptor spare_;
  handler_memory wait_memory_;
  bool waiting_ = false;
  accept_turns turns_;    // of this process and of others that accept from the same socket
  bool failing_ = false;  // an error has been logged and persists
  bool stopping_ = false;
};

}  // namespace kino::server
