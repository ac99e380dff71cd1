// SPDX-License-Identifier: MIT
//
// The part of the server that speaks HTTP: listeners, I/O threads and their connections.

#pragma once

#include "base/options.hpp"
#include "base/temporary_files.hpp"
#include "http/exchange.hpp"
#include "http/streamed_bodies.hpp"
#include "net/io_thread.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

namespace kino::server {

class listener;

/// A request_handler is whom the http_server gives its requests to.
class request_handler {
public:
  /// Takes over one request. `reply` has to be answered, later and by any thread, or dropped.
  /// Called on an I/O thread or, for a request that was read ahead, on the thread that has
  /// completed the answer before it; it must not keep either. A client's request comes only
  /// after the answer to the one before.
  virtual void handle(exchange::reply&& reply) noexcept = 0;
  /// Which status a request gets that was dropped or has expired; where such are counted.
  virtual int status_for(kino::ending how, exchange& unanswered) noexcept = 0;
  /// A request was refused with `status` before it became one.
  virtual void refused(int status) noexcept = 0;
  /// The last connection on which something was going on is gone. Called on an I/O thread.
  virtual void quiet() noexcept = 0;

protected:
  ~request_handler() = default;
};

/// An http_server accepts connections and turns what arrives into requests. It knows no Ruby.
///
/// Threads: `start`, `stop` and the destructor by one thread; all else by any.
/// Lifetime: the order is start, stop_accepting, begin_drain, close_connections, stop; what is
///           left out is made up for by `stop`. Exchanges may outlive it.
class http_server {
public:
  http_server(options const& settings, request_handler& handler);
  ~http_server();

  /// Binds all addresses; connections wait in the backlog until `start`.
  void listen();
  /// What was bound.
  [[nodiscard]] std::vector<bind_address> addresses() const;
  void start();
  void stop_accepting() noexcept;
  /// Closes idle connections, and the others once they have their answers.
  void begin_drain() noexcept;
  /// Closes all connections, whatever is going on.
  void close_connections() noexcept;
  /// Closes everything and joins the I/O threads.
  void stop();

  /// The one that accepts; for timers of the handler's own.
  [[nodiscard]] io_thread& first_thread() { return *threads_.front(); }

  /// How many connections have something going on, or may soon.
  [[nodiscard]] std::size_t live() const { return live_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t connections() const {
    return connections_.load(std::memory_order_relaxed);  // a number to look at
  }

  // --- for connections and listeners ---

  [[nodiscard]] options const& settings() const { return settings_; }
  /// Whether the handler gets the request before its body has arrived.
  [[nodiscard]] bool streams_body(request const& head) const { return streamed_.match(head); }
  /// Where large bodies are collected.
  [[nodiscard]] temporary_files const& files() const { return *files_; }
  // relaxed, both: they take effect on the next request or connection, and the passes over
  // all connections that follow them are posted.
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool closing() const { return closing_.load(std::memory_order_relaxed); }
  void handle(exchange::reply&& reply) { handler_.handle(std::move(reply)); }
  [[nodiscard]] int status_for(kino::ending how, exchange& unanswered) {
    return handler_.status_for(how, unanswered);
  }
  void count_refused(int status) { handler_.refused(status); }
  /// Counts a connection that is about to be accepted; false if there are too many, and the
  /// listeners are resumed when there are fewer.
  [[nodiscard]] bool admit();
  /// Takes over a connection that was admitted. If this throws, it is still the caller's.
  void connected(int socket, endpoint peer, endpoint const& local);
  void connection_closed(bool was_live) noexcept;
  void leave_live() noexcept;

private:
  void follow_accepting() noexcept;

  options const settings_;
  streamed_bodies const streamed_;
  std::shared_ptr<temporary_files const> const files_;
  request_handler& handler_;
  std::vector<std::unique_ptr<io_thread>> threads_;
  std::vector<std::unique_ptr<listener>> listeners_;
  std::optional<notice> listeners_notice_;  // to start, resume or stop
  std::size_t next_thread_ = 0;  // the listeners' thread's
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> live_{0};
  std::atomic<bool> turned_away_{false};
  std::atomic<bool> accepting_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> closing_{false};
  bool running_ = false;
};

}  // namespace kino::server
