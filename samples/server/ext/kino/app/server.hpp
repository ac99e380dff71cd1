// SPDX-License-Identifier: MIT
//
// server: combines the http_server, the queue and the workers.

#pragma once

#include "admission/admission_queue.hpp"
#include "admission/load_shedder.hpp"
#include "admission/quarantine.hpp"
#include "admission/queue_deadline.hpp"
#include "admission/response_deadline.hpp"
#include "admission/worker_events.hpp"
#include "admission/worker_recycler.hpp"
#include "app/config.hpp"
#include "control/control_plane.hpp"
#include "net/http_server.hpp"
#include "net/tls_acceptor.hpp"
#include "rack/gvl_waits.hpp"
#include "rack/rack_env.hpp"
#include "rack/rack_websocket.hpp"
#include "rack/websocket_application.hpp"
#include "rack/worker_context.hpp"

#include <kino/condition.hpp>
#include <kino/dispatcher.hpp>
#include <kino/fork_mark.hpp>
#include <kino/stats.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kino::server {

/// The request type of the dispatcher; a turn has no reply.
struct job : work {
  admission_queue::place place;
};

/// A server passes requests from the http_server to Ruby workers, through one queue for all.
///
/// Threads: `join`, `take` and `leave`: the workers, each with its own slot; `start` and `stop`: one
///          thread; all else: any.
/// GVL:     needed by functions that take `held`; not by the destructor.
/// Order:   requests reach workers in the order in which they became complete, per I/O thread;
///          those of one connection one at a time.
class server final : private request_handler, private control_source, private websocket_scheduler {
  using queue = kino::dispatcher<job>;

public:
  server(gvl const& held, config const& settings, rack_env& environments);
  /// Every worker must have left, and `stop` have been called if `start` was.
  ~server() = default;

  /// Binds all addresses. Throws std::system_error naming the address.
  [[nodiscard]] std::vector<bind_address> listen();
  /// Uses these certificates for new connections. Throws like tls_acceptor::renew, and std::invalid_argument without TLS.
  void renew_tls(tls_settings const& settings);
  /// Binds the addresses of the control plane, which then answers until `stop`. There is one if its settings are given.
  [[nodiscard]] std::vector<bind_address> start_control();
  /// Lets another process answer at these addresses.
  void leave_control() {
    if (control_) control_->leave();
  }
  void start();
  /// The server is about to stop: responses say so, and the control plane's /ready.
  void announce_drain();
  void stop_accepting() { http_.stop_accepting(); }
  void is_last_to_accept(bool given_too) { http_.is_last_to_accept(given_too); }
  void begin_drain() { http_.begin_drain(); }
  /// Waits until all accepted requests are answered and all events handled; returns false at `until`.
  [[nodiscard]] bool await_idle(gvl const& held, std::optional<clock::time_point> until);
  /// Refuses further requests: workers finish the queued ones and leave.
  void close();
  /// Ends all activity immediately.
  void abort();
  /// Logs which workers are left, and what each does.
  void say_remaining() const;
  void stop(gvl const& held);
  /// Whether it was stopped and the last worker has left, so it can be destroyed. A worker that was
  /// busy when the server stopped still finds its worker_context, whose request has ended.
  [[nodiscard]] bool deserted() const { return stopped_ && joined_ == 0; }

  // --- workers ---

  /// `unit`: what this worker is a part of; see worker_recycler.
  [[nodiscard]] std::size_t join(gvl const& held, std::size_t unit);
  void leave(gvl const& held, std::size_t slot, std::optional<std::string> reason);
  /// The worker_context of a joined worker. Throws std::invalid_argument.
  [[nodiscard]] worker_context& context_at(std::size_t slot);
  /// The worker_context of a worker that has a request to answer. Throws kino::raise.
  [[nodiscard]] worker_context& busy_context_at(std::size_t slot);
  /// Counts the request of the slot, if it has one, for a route.
  void label(std::size_t slot, std::string_view route);
  /// Ends the request of a joined worker, or the event, and waits for its next one; returns the environment of a request,
  /// what take_websocket_event returns, or nil if the worker must leave.
  [[nodiscard]] VALUE take(gvl const& held, std::size_t slot);

  /// Makes a WebSocket of the connection of a worker's request: see upgrade_to_websocket.
  [[nodiscard]] int upgrade(gvl const& held, std::size_t slot, VALUE headers, websocket_application const& application);
  /// Likewise an event stream: see begin_event_stream.
  void stream_events(gvl const& held, std::size_t slot, VALUE headers, websocket_application const& application);

  /// Reports a worker that could not join; otherwise its supervisor would wait for it.
  void refused_worker(std::optional<std::string> reason) noexcept;
  /// Whether this is a child of the process that created the server, where it cannot be used.
  [[nodiscard]] bool forked() const { return born_.forked(); }

  // --- supervision ---

  /// What the supervisor knows, for the statistics.
  void publish(std::size_t alive, std::uint64_t respawns, std::uint64_t recycled) noexcept {
    alive_.store(alive, std::memory_order_relaxed);
    respawns_.store(respawns, std::memory_order_relaxed);
    recycled_.store(recycled, std::memory_order_relaxed);
  }
  /// The supervisor starts unit `successor`, with so many workers, for the one that is due.
  void replace(std::size_t due, std::size_t successor, std::size_t workers) noexcept { recycler_.replace(due, successor, workers); }

  /// Reports frequent collections of a worker, once until the supervisor has taken the event.
  void ask_for_room() noexcept;
  /// Waits for an event, at most the given seconds (then `none`); nullopt once the server has stopped.
  [[nodiscard]] std::optional<event> next_event(gvl const& held, std::optional<double> seconds);

  [[nodiscard]] server_phase phase() const noexcept override {
    server_phase const now = phase_.load(std::memory_order_relaxed);  // see phase_
    bool const stuck = others_ ? others_->all_stuck() : quarantine_.exhausted();
    return now == server_phase::serving && stuck ? server_phase::stuck : now;
  }
  [[nodiscard]] server_statistics statistics() const override;
  void add_requests_to(request_totals& sums) const noexcept override { metrics_->add_to(sums); }
  [[nodiscard]] route_table const* routes() const noexcept override { return std::as_const(*metrics_).routes(); }
  [[nodiscard]] bool add_gvl_waits_to(kino::latency_histogram& sums) const noexcept override { return gvl_waits::add_to(sums); }
  [[nodiscard]] current_requests::view request_of(std::size_t worker) const override { return current_.of(worker); }
  /// What the control plane asks Ruby. There is one if its settings are given.
  [[nodiscard]] inquiries& control_questions();

private:
  /// One slot of the dispatcher, and the worker that has joined it.
  struct worker {
    queue::worker* joined = nullptr;  // null: none
    worker_context context;
    bool dismissed = false;  // as it was told
  };

  [[nodiscard]] worker& worker_at(std::size_t slot);
  void post(event&& happened) noexcept;
  void recycle(std::size_t slot);
  [[nodiscard]] quarantine::callbacks stuck_workers();
  void put_aside(kino::worker_slots::view const& stuck, std::size_t aside) noexcept;
  [[nodiscard]] std::string account_of(kino::worker_slots::view const& worker, current_requests::view const& request) const;
  void say_stuck(kino::worker_slots::view const& stuck, std::string_view consequence) const;
  void handle(exchange::reply&& reply) noexcept override;
  [[nodiscard]] admission_queue::fate offer(work& any);
  [[nodiscard]] bool sheds(exchange& next) noexcept;
  [[nodiscard]] VALUE take_event(gvl const& held, worker_context& at, websocket_turn&& turn);
  int status_for(kino::ending how, exchange& unanswered) noexcept override;
  void refused(int) noexcept override { refused_.add(); }
  void quiet() noexcept override { quiet_.notify_all(); }
  void schedule(websocket_turn&& turn) noexcept override { waiting_.enter(std::move(turn)); }
  void begun() noexcept override { websockets_.fetch_add(1); }
  void over() noexcept override {
    if (websockets_.fetch_sub(1) == 1) quiet_.notify_all();
  }

  // Ordered by dependency: later members are destroyed first.
  rack_env& environments_;
  std::shared_ptr<request_metrics> const metrics_;  // null without a control plane
  kino::counter received_;    // every request that was handed over; it goes on into one of:
  kino::counter rejected_;    // - expired, or ...
  kino::counter shed_;        //   ... refused by the load_shedder; counted in both
  kino::counter unserved_;    // - abandoned before a worker began
  kino::counter client_gone_;  // - begun too late; all others count as a worker's `waited_count`
  kino::counter timeouts_;
  kino::counter refused_;
  kino::counter websocket_events_;
  std::atomic<std::size_t> websockets_{0};
  websocket::settings const websocket_settings_;
  upgrade_offers const offers_;
  kino::condition quiet_;
  // Has room for all events between two reads of the supervisor: it starts a worker only after the events of the
  // previous one, each worker joins, gets stuck and leaves once, and at most one unit is due.
  worker_events events_;
  std::atomic<bool> room_asked_{false};
  http_server http_;
  admission_queue waiting_;
  queue queue_;
  std::vector<worker> workers_;
  current_requests current_;  // of no workers if nothing asks for them
  queue_deadline deadline_;
  response_deadline response_deadline_;
  load_shedder shedder_;
  worker_recycler recycler_;
  process_places const* const others_;  // null: operators ask for this process alone
  quarantine::settings const quarantine_settings_;
  quarantine quarantine_;
  std::atomic<std::size_t> joined_{0};
  std::atomic<bool> stopped_{false};
  // What the supervisor has published; relaxed: statistics.
  std::atomic<std::uint64_t> respawns_{0};
  std::atomic<std::uint64_t> recycled_{0};
  std::atomic<std::size_t> alive_{0};
  std::atomic<server_phase> phase_{server_phase::starting};  // relaxed: a fact to tell, which orders nothing
  std::unique_ptr<control_plane> control_;
  kino::fork_mark const born_;
};

}  // namespace kino::server
