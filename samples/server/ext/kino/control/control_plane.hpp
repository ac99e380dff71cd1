// SPDX-License-Identifier: MIT
//
// control_plane: answers operators and their programs about a server.

#pragma once

#include "control/control_access.hpp"
#include "control/control_settings.hpp"
#include "control/control_source.hpp"
#include "control/inquiries.hpp"
#include "net/http_server.hpp"

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

namespace kino::server {

/// A control_plane is a second http_server, with a listener and an I/O thread of its own, whose handler is native: it
/// shares neither connections nor threads with the server that it tells about, and answers while every worker is stuck
/// and while a thread keeps the GVL.
///
///     /        a page that draws the numbers; it has none itself, so it needs no token
///     /live    200 as long as the process can answer
///     /ready   200 while the server accepts connections, else 503; load balancers ask it
///     /stats   Server#stats as JSON
///     /metrics what Prometheus collects; see metrics_page
///     /workers what each worker does, see workers_json; with ?backtraces=1, those of the main Ractor's Threads
///     POST /reload, /stop, /log-level?LEVEL    what Ruby then does
///
/// Probes need no token: see control_access.
///
/// The control plane of several processes collects: Ruby adds up what theirs answer for /stats, /metrics and /workers.
///
/// Threads: constructor, `listen`, `start`, `stop` and destructor: one thread.
/// Lifetime: `source` must live until `stop` has returned.
/// Throws:  std::system_error naming the address, from `listen`.
class control_plane final : private request_handler {
public:
  control_plane(control_settings const& settings, control_source const& source);
  control_plane(control_plane const&) = delete;

  /// Binds the addresses; returns them.
  [[nodiscard]] std::vector<bind_address> listen();
  void start() { http_.start(); }
  /// Another process, which is ready, answers from now on. A probe asks for the service, not for this process: one that still
  /// reaches this process is told that the service is ready, even while its own server drains. Any thread.
  void leave() {
    left_.store(true, std::memory_order_relaxed);  // seen at the latest with the next request; nothing depends on it
    http_.announce_drain();
    http_.stop_accepting();
  }
  void stop();

  /// Where Ruby finds the questions that only it can answer.
  [[nodiscard]] inquiries& questions() { return inquiries_; }

private:
  void handle(exchange::reply&& reply) noexcept override;
  void answer(exchange::reply const& reply);
  void answer_page(exchange::reply const& reply) const;
  void answer_metrics(exchange::reply const& reply);
  void answer_workers(exchange::reply const& reply);
  void answer_collected(exchange::reply const& reply, std::string_view subject);
  void act(exchange::reply const& reply, std::string_view action);
  template <class RespondWith>
  [[nodiscard]] bool ask(exchange::reply const& reply, std::string subject, std::string detail, RespondWith respond_with);

  control_settings const settings_;
  control_source const& source_;
  control_access const access_;
  http_server http_;
  inquiries inquiries_;
  std::atomic<bool> left_{false};
};

}  // namespace kino::server
