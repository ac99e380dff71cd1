// SPDX-License-Identifier: MIT
//
// One listening socket.

#pragma once

#include "connection.hpp"
#include "options.hpp"

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include <string>

namespace kino::server {

class front_end;

/// A listener binds one address and hands the connections it accepts to the front end.
///
/// What goes wrong while accepting is logged and waited out; it never ends the process.
///
/// The file of a Unix socket is its user's to remove, before and after.
///
/// Threads: the constructor and destructor anywhere, the rest on `context`'s thread.
/// Throws:  std::system_error with the address, from the constructor.
class listener {
public:
  listener(front_end& front, asio::io_context& context, bind_address const& where);
  listener(listener const&) = delete;

  /// What was bound: a port 0 has become the one the system chose.
  [[nodiscard]] bind_address const& where() const { return where_; }

  void start();
  void stop();
  /// Accepts again after `start` or an acceptance found that there are too many connections.
  void resume();

private:
  void bind_tcp();
  void bind_local();
  void fail(char const* doing, int error) const;
  void wait();
  void accept();
  void back_off(int error);

  front_end& front_;
  bind_address where_;
  endpoint local_;
  asio::posix::stream_descriptor socket_;
  asio::steady_timer pause_;
  bool waiting_ = false;
};

}  // namespace kino::server
