// SPDX-License-Identifier: MIT

#include "net/http_server.hpp"

#include "http2/http2.hpp"
#include "net/connection.hpp"
#include "net/listener.hpp"
#include "net/plain_transport.hpp"
#include "net/proxy_acceptor.hpp"
#include "net/tls_acceptor.hpp"

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

namespace kino::server {

namespace {

// What clients are told that they may speak, when they ask for it (RFC 7301).
std::vector<std::string> protocols(bool http2) {
  if (http2) return {"h2", "http/1.1"};
  return {"http/1.1"};
}

}  // namespace

bool http_server::has_http2() noexcept { return static_cast<bool>(http2_maker()); }

http_server::http_server(options const& settings, request_handler& handler, protocol::maker speaks)
    : settings_(settings),
      streamed_(settings.stream_body),
      believes_{settings.forwarded, ip_networks(settings.trusted_proxies)},
      handler_(handler),
      speaks_(std::move(speaks)),
      http2_(settings.http2 ? http2_maker() : nullptr) {
  for (unsigned i = 0; i < std::max(1u, settings_.io_threads); ++i) {
    threads_.push_back(std::make_unique<io_thread>(*this));
  }
  if (settings.tls) {
    tls_ = std::make_unique<tls_acceptor>(first_thread().deadlines(), *settings.tls, settings.handshake_timeout,
                                          protocols(static_cast<bool>(http2_)));
  }
  if (std::any_of(settings.binds.begin(), settings.binds.end(), [](bind_address const& one) { return one.proxy_protocol; })) {
    proxies_ = std::make_unique<proxy_acceptor>(*this, first_thread(), settings.connection.header_timeout);
    proxies_notice_.emplace(first_thread().notices(), [this] { follow_proxies(); });
  }
  listeners_notice_.emplace(first_thread().notices(), [this] { follow_accepting(); });
}

http_server::~http_server() { stop(); }

void http_server::listen() {
  for (bind_address const& where : settings_.binds) {
    if (where.same_port && where.port == 0 && !where.socket && !listeners_.empty()) {
      listen_on_same_port(where);
    } else {
      listeners_.push_back(listener_at(where));
    }
  }
}

std::unique_ptr<listener> http_server::listener_at(bind_address const& where) {
  return std::make_unique<listener>(*this, *threads_.front(), where);
}

// Another program may have the port that the system chose for the address before; then the system chooses again.
void http_server::listen_on_same_port(bind_address where) {
  constexpr int most_choices = 64;
  std::unique_ptr<listener>& before = listeners_.back();
  bind_address any = before->where();
  any.port = 0;
  any.socket.reset();
  for (int choices = 1;; ++choices) {
    where.port = before->where().port;
    try {
      listeners_.push_back(listener_at(where));
      return;
    } catch (std::system_error const& taken) {
      if (taken.code() != std::errc::address_in_use || before->was_given() || choices == most_choices) throw;
    }
    before = listener_at(any);  // while it still has the port that another has, too
  }
}

std::vector<bind_address> http_server::addresses() const {
  std::vector<bind_address> all;
  for (auto const& one : listeners_) all.push_back(one->where());
  return all;
}

void http_server::start() {
  running_ = true;
  for (auto const& thread : threads_) thread->start();
  // relaxed, here and below: the notice that follows carries it.
  accepting_.store(true, std::memory_order_relaxed);
  listeners_notice_->send();
}

void http_server::stop_accepting() noexcept {
  if (!accepting_.exchange(false, std::memory_order_relaxed)) return;
  // Counts as a live connection until the listeners have accepted the last ones.
  live_.fetch_add(1, std::memory_order_relaxed);
  last_clients_due_.store(true, std::memory_order_release);  // pairs with follow_accepting, which then sees accepting_
  listeners_notice_->send();
}

void http_server::follow_accepting() noexcept {
  bool const last_clients = last_clients_due_.exchange(false, std::memory_order_acquire);  // pairs with stop_accepting
  bool const accepting = accepting_.load(std::memory_order_relaxed);
  accepted_last const last = last_to_accept_.load(std::memory_order_relaxed);  // see is_last_to_accept
  place_.accepts(accepting);
  for (auto const& one : listeners_) {
    accepting ? one->start() : one->stop(one->was_given() ? last == accepted_last::all : last != accepted_last::none);
  }
  if (tls_ && !accepting) tls_->stop();
  if (last_clients) leave_live();
}

void http_server::announce_drain() noexcept {
  draining_.store(true, std::memory_order_relaxed);  // see draining
}

void http_server::follow_proxies() noexcept { closing() ? proxies_->close() : proxies_->drain(); }

void http_server::begin_drain() noexcept {
  announce_drain();
  if (proxies_notice_) proxies_notice_->send();
  for (auto const& thread : threads_) thread->look_at_server();
}

void http_server::close_connections() noexcept {
  closing_.store(true, std::memory_order_relaxed);  // see closing
  if (proxies_notice_) proxies_notice_->send();
  for (auto const& thread : threads_) thread->look_at_server();
}

void http_server::stop() {
  if (std::exchange(running_, false)) {
    stop_accepting();
    close_connections();
    for (auto const& thread : threads_) thread->stop();
  }
  listeners_.clear();
}

bool http_server::admit() {
  // seq_cst, all of it: either we see the slot that connection_closed frees, or it sees that a
  // client was turned away.
  for (;;) {
    if (connections_.fetch_add(1) < settings_.connection.max_connections) {
      place_.opened();
      return true;
    }
    turned_away_.store(true);
    if (connections_.fetch_sub(1) > settings_.connection.max_connections) return false;
    if (!turned_away_.exchange(false)) return false;  // another thread already resumes us
  }
}

void http_server::connected(std::unique_ptr<transport> client, endpoint peer, endpoint const& local,
                            std::unique_ptr<readiness> events) {
  enter_live();
  try {
    io_thread& next = *threads_[next_thread_++ % threads_.size()];
    next.adopt(std::move(client), std::move(events), std::move(peer), local);
  } catch (...) {
    leave_live();
    throw;
  }
}

void http_server::accepted(int socket, endpoint peer, endpoint const& local) {
  std::unique_ptr<transport> client = plain_transport::own(socket);
  peer.trusted = trusts(peer);
  if (local.proxy_protocol && peer.trusted) return proxies_->accept(std::move(client), std::move(peer), local);
  accepted(std::move(client), std::move(peer), local);
}

void http_server::accepted(std::unique_ptr<transport> client, endpoint peer, endpoint const& local) {
  if (local.secure) client = tls_->accept(std::move(client), peer);
  connected(std::move(client), std::move(peer), local);
}

bool http_server::trusts(endpoint const& client) const noexcept {
  return !believes_.trusted.empty() && believes_.trusted.contain(client.address);
}

void http_server::connection_closed(bool was_live) noexcept {
  if (was_live) leave_live();  // first: see connections
  place_.closed();
  connections_.fetch_sub(1);  // seq_cst, as is what follows: see admit
  if (turned_away_.exchange(false)) listeners_notice_->send();
}

void http_server::leave_live() noexcept {
  // acq_rel: the thread that sees none left sees the effects of all.
  if (live_.fetch_sub(1, std::memory_order_acq_rel) == 1) handler_.quiet();
}

}  // namespace kino::server
