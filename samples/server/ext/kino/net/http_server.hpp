// SPDX-License-Identifier: MIT
//
// http_server: the HTTP part of the server, with listeners, I/O threads and connections.

#pragma once

#include "base/options.hpp"
#include "base/process_places.hpp"
#include "http/exchange.hpp"
#include "http/forwarded.hpp"
#include "http/protocol.hpp"
#include "http/request_handler.hpp"
#include "http/streamed_bodies.hpp"
#include "http1/http1_protocol.hpp"
#include "net/io_thread.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace kino::server {

class listener;
class proxy_acceptor;
class tls_acceptor;

/// An http_server accepts connections and parses requests. It is independent of Ruby.
///
/// Threads: `start`, `stop` and the destructor: one thread; all else: any.
/// Lifetime: the order is start, stop_accepting, begin_drain, close_connections, stop; `stop`
///           performs omitted steps. Requests must be answered or dropped before it is destroyed; other
///           references on exchanges may outlive it.
class http_server {
public:
  /// `speaks` makes the protocol of each connection. If settings.tls is set, throws like tls_acceptor.
  http_server(options const& settings, request_handler& handler, protocol::maker speaks = &http1_protocol::make);
  ~http_server();

  /// Whether it can speak HTTP/2: it was built with nghttp2.
  [[nodiscard]] static bool has_http2() noexcept;

  /// Binds all addresses; connections wait in the backlog until `start`.
  void listen();
  /// Beyond max_connections, a connection is closed for a new one, which otherwise waits: the oldest of those that are idle, else of
  /// those whose client is waited for, else of all. For servers with short requests, and one I/O thread. Before `start`.
  void displace_others() noexcept { displaces_others_ = true; }
  /// Other processes accept from the same sockets, and this one takes its share. Before `start`.
  void takes_place(process_place const& own) noexcept { place_ = own; }
  /// What encrypts connections; null without options::tls.
  [[nodiscard]] tls_acceptor* tls() const { return tls_.get(); }
  /// The bound addresses.
  [[nodiscard]] std::vector<bind_address> addresses() const;
  void start();
  /// No other process will accept from the listening sockets, except from those that were given to this one unless `given_too`:
  /// `stop_accepting` may change how they behave, so as to lose no connection. Before it.
  void is_last_to_accept(bool given_too) noexcept {
    last_to_accept_.store(given_too ? accepted_last::all : accepted_last::own, std::memory_order_relaxed);  // `stop_accepting` carries it
  }
  /// Accepts the connections that wait in the backlog, and closes the listening sockets.
  void stop_accepting() noexcept;
  /// From now on, responses of HTTP/1 tell their clients that the connection ends.
  void announce_drain() noexcept;
  /// Closes connections that are idle for tuning::drain_grace, and the others once they have their responses.
  void begin_drain() noexcept;
  /// Closes all connections immediately, even active ones.
  void close_connections() noexcept;
  /// Closes everything and joins the I/O threads.
  void stop();

  /// The thread that accepts; also for the handler's timers.
  [[nodiscard]] io_thread& first_thread() { return *threads_.front(); }

  /// Number of connections that are active or may soon be, and one more until `stop_accepting` has taken effect.
  [[nodiscard]] std::size_t live() const { return live_.load(std::memory_order_acquire); }
  /// Number of accepted connections. If it is zero, live() is zero too, unless a client connects in
  /// between, or `stop_accepting` has not taken effect.
  [[nodiscard]] std::size_t connections() const {
    // acquire: pairs with connection_closed, where a connection stops being live first.
    return connections_.load(std::memory_order_acquire);
  }

  // --- for connections and listeners ---

  [[nodiscard]] options const& settings() const { return settings_; }
  [[nodiscard]] streamed_bodies const& streamed() const { return streamed_; }
  /// Which header fields of proxies are believed; null: none.
  [[nodiscard]] forwarding_policy const* believes() const { return believes_.decides() ? &believes_ : nullptr; }
  [[nodiscard]] request_handler& handler() { return handler_; }
  [[nodiscard]] std::unique_ptr<protocol> make_protocol(protocol_context const& shared, protocol::host& connection,
                                                        transport& to) const {
    return speaks_(shared, connection, to);
  }
  /// See protocol_context::http2.
  [[nodiscard]] protocol::maker const& http2() const { return http2_; }
  // relaxed, both: they take effect on the next request or connection, and the passes over
  // all connections that follow them are posted.
  [[nodiscard]] std::atomic<bool> const& drains() const { return draining_; }
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool closing() const { return closing_.load(std::memory_order_relaxed); }
  [[nodiscard]] process_place const& place() const { return place_; }
  /// Counts a connection that is about to be accepted; false if there are too many, and the
  /// listeners are resumed when there are fewer.
  [[nodiscard]] bool admit();
  /// See displace_others.
  [[nodiscard]] bool displaces() const { return displaces_others_; }
  /// Makes room for a connection that waits; see displace_others.
  void make_room() noexcept { first_thread().displace_one(); }
  /// Takes over a connection that was admitted, see io_thread::adopt. If this throws, it is closed, and the
  /// admission is still the caller's.
  void connected(std::unique_ptr<transport> client, endpoint peer, endpoint const& local,
                 std::unique_ptr<readiness> events = nullptr);
  /// Takes over an accepted socket likewise: waits for its PROXY protocol header if `local` demands one, encrypts it if `local` is
  /// secure. The thread that accepts.
  void accepted(int socket, endpoint peer, endpoint const& local);
  /// Likewise, without such a header.
  void accepted(std::unique_ptr<transport> client, endpoint peer, endpoint const& local);
  /// Whether the client is a proxy that is trusted to name its own clients.
  [[nodiscard]] bool trusts(endpoint const& client) const noexcept;
  /// Counts what may become an active connection.
  void enter_live() noexcept { live_.fetch_add(1, std::memory_order_relaxed); }  // the decrement in leave_live decides
  void connection_closed(bool was_live) noexcept;
  void leave_live() noexcept;

private:
  [[nodiscard]] std::unique_ptr<listener> listener_at(bind_address const& where);
  void listen_on_same_port(bind_address where);
  void follow_accepting() noexcept;
  void follow_proxies() noexcept;

  options const settings_;
  streamed_bodies const streamed_;
  forwarding_policy const believes_;
  request_handler& handler_;
  protocol::maker const speaks_;
  protocol::maker const http2_;
  std::vector<std::unique_ptr<io_thread>> threads_;
  std::unique_ptr<tls_acceptor> tls_;
  std::unique_ptr<proxy_acceptor> proxies_;  // null if no address has proxy_protocol
  std::vector<std::unique_ptr<listener>> listeners_;
  std::optional<notice> listeners_notice_;  // to start, resume or stop
  std::optional<notice> proxies_notice_;    // to drain or close
  std::size_t next_thread_ = 0;  // the listeners' thread's
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> live_{0};
  std::atomic<bool> turned_away_{false};
  std::atomic<bool> accepting_{false};
  enum class accepted_last : std::uint8_t { none, own, all };
  std::atomic<accepted_last> last_to_accept_{accepted_last::none};
  std::atomic<bool> last_clients_due_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> closing_{false};
  bool running_ = false;
  bool displaces_others_ = false;
  process_place place_;
};

}  // namespace kino::server
