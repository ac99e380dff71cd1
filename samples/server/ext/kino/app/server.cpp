// SPDX-License-Identifier: MIT

#include "app/server.hpp"

#include "base/log.hpp"
#include "observers/observer_list.hpp"
#include "rack/flush_on_suspend.hpp"

#include <kino/wait.hpp>

#include <memory>
#include <stdexcept>
#include <utility>

namespace kino::server {

namespace {

// The options of the http_server, with what observes it.
options observed(config const& settings, std::shared_ptr<request_metrics> const& metrics) {
  std::vector<std::shared_ptr<observer>> all;
  if (settings.access_log) all.push_back(std::make_shared<access_log>(*settings.access_log));
  if (metrics) all.push_back(metrics);
  options made = settings.http;
  made.observes = observer_list::of(std::move(all));
  return made;
}

}  // namespace

server::server(gvl const& held, config const& settings, rack_env& environments)
    : environments_(environments),
      metrics_(settings.control ? std::make_shared<request_metrics>(settings.route_metrics) : nullptr),
      websocket_settings_(settings.websocket_limits),
      offers_{settings.websockets, settings.event_streams},
      events_(3 * settings.slots + 8),
      http_(observed(settings, metrics_), *this),
      waiting_(http_.first_thread(), settings.queue_timeout,
               [this](work& any) { return offer(any); }),
      queue_(held, {.capacity = settings.queue_depth,
                    .slots = settings.slots,
                    .concurrency = settings.concurrency,
                    .permits = settings.run_permits}),
      workers_(settings.slots),
      current_(settings.control || settings.stuck.timeout != clock::duration::zero() ? settings.slots : 0),
      deadline_(http_.first_thread(), settings.queue_timeout),
      response_deadline_(http_.first_thread(), settings.request_timeout, settings.slots),
      shedder_(settings.queue_target),
      recycler_({settings.recycles ? settings.max_requests : 0, settings.max_requests_jitter}, settings.slots, settings.units),
      others_(settings.others),
      quarantine_settings_(settings.stuck),
      quarantine_(http_.first_thread(), settings.stuck, queue_.slots(), stuck_workers()) {
  http_.takes_place(settings.process);
  if (settings.run_permits) flush_on_suspend::enable();
  for (worker& each : workers_) each.context.early_hints = settings.early_hints;
  if (settings.control && !settings.control->collects) gvl_waits::enable(held);
  if (settings.control) control_ = std::make_unique<control_plane>(*settings.control, static_cast<control_source&>(*this));
}

std::vector<bind_address> server::listen() {
  http_.listen();
  return http_.addresses();
}

std::vector<bind_address> server::start_control() {
  std::vector<bind_address> bound = control_->listen();
  control_->start();
  return bound;
}

inquiries& server::control_questions() {
  if (!control_) throw std::invalid_argument("kino: this server has no control plane");
  return control_->questions();
}

void server::start() {
  http_.start();
  quarantine_.start();
  phase_.store(server_phase::serving, std::memory_order_relaxed);
}

void server::announce_drain() {
  phase_.store(server_phase::draining, std::memory_order_relaxed);
  http_.announce_drain();
}

void server::renew_tls(tls_settings const& settings) {
  if (!http_.tls()) throw std::invalid_argument("kino: this server has been started without TLS");
  http_.tls()->renew(settings);
}

void server::handle(exchange::reply&& reply) noexcept {
  received_.add();
  deadline_.watch(reply);
  waiting_.enter(std::move(reply));
}

admission_queue::fate server::offer(work& any) {
  job offered{{std::move(any)}, admission_queue::place(waiting_)};
  kino::push_result const result = queue_.try_submit(std::move(offered));
  if (result == kino::push_result::pushed) return admission_queue::fate::accepted;
  any = std::move(static_cast<work&>(offered));
  offered.place.refuse();
  return result == kino::push_result::closed ? admission_queue::fate::closed
                                             : admission_queue::fate::full;
}

// Expired: it did not get to a worker in time, or its worker did not respond in time. Abandoned: the worker that had it
// is gone.
int server::status_for(kino::ending how, exchange& unanswered) noexcept {
  if (how == kino::ending::expired && unanswered.taken()) {
    timeouts_.add();
    return 504;
  }
  if (how == kino::ending::expired) {
    rejected_.add();
    return 503;
  }
  if (unanswered.withdraw()) unserved_.add();
  return 500;
}

bool server::await_idle(gvl const& held, std::optional<clock::time_point> until) {
  return kino::wait_until(held, quiet_, until, [this] { return http_.live() == 0 && websockets_ == 0; });
}

void server::close() {
  queue_.close();
  waiting_.close();
  deadline_.close();
}

void server::abort() {
  close();
  for (auto const& worker : queue_.slots().snapshot()) queue_.abandon(worker.id());
  http_.close_connections();
}

void server::stop(gvl const& held) {
  close();
  response_deadline_.close();
  // The I/O threads need no GVL to end, and wait for no other thread.
  kino::without_gvl(held, [this] {
    http_.stop();
    if (control_) control_->stop();
  }, kino::uninterruptible);
  events_.close();
  stopped_ = true;
}

server::worker& server::worker_at(std::size_t slot) {
  if (slot >= workers_.size() || !workers_[slot].joined) {
    throw std::invalid_argument("kino: no worker has joined as slot " + std::to_string(slot));
  }
  return workers_[slot];
}

worker_context& server::context_at(std::size_t slot) { return worker_at(slot).context; }

void server::label(std::size_t slot, std::string_view route) {
  worker_context& at = context_at(slot);
  if (at.reply && metrics_ && metrics_->routes()) exchange::of(at.reply).label(metrics_->routes()->find(route));
}

worker_context& server::busy_context_at(std::size_t slot) {
  worker_context& at = context_at(slot);
  if (!at.reply) {
    throw kino::raise(rb_eRuntimeError,
                      "kino: slot " + std::to_string(slot) + " has no pending request");
  }
  if (at.writer.head_sent()) {
    throw kino::raise(rb_eRuntimeError, "kino: the request of slot " + std::to_string(slot) +
                                            " has already been answered, at least partly");
  }
  return at;
}

// Whether this request is not begun because it has waited too long in a queue that stays long; its client gets a 503.
bool server::sheds(exchange& next) noexcept {
  if (!shedder_.enabled()) return false;
  clock::time_point const now = clock::now();
  if (!shedder_.refuses(now - next.ready_at(), now) || !next.withdraw()) return false;
  shed_.add();
  return true;
}

VALUE server::take(gvl const& held, std::size_t slot) {
  worker& taking = worker_at(slot);
  worker_context& at = taking.context;
  at.count_served();  // if its response was cut off
  at.turn.finish();
  response_deadline_.forget(slot);
  current_.ended(slot);
  if (recycler_.enabled()) recycle(slot);
  for (;;) {
    at.let_go();
    job next;
    kino::take_result const result = queue_.take(held, *taking.joined, next);
    if (result != kino::take_result::taken) {
      taking.dismissed = result == kino::take_result::dismissed;
      return Qnil;
    }
    next.place.give_up();
    if (next.turn) {
      VALUE const event = take_event(held, at, std::move(next.turn));
      if (NIL_P(event)) continue;
      return event;
    }
    at.reply = std::move(next.reply);
    exchange& taken = exchange::of(at.reply);
    if (sheds(taken) || !taken.begin()) {
      at.reply.expire();  // Or it would count as abandoned, if this thread is faster.
      continue;
    }
    if (!taken.client_gone()) {
      response_deadline_.watch(slot, taken);
      current_.began(slot, taken.head(), taken.ready_at());
      recycler_.took(slot);
      at.number.next();
      at.counted = false;
      at.count_wait(clock::now() - taken.ready_at());
      return environments_.make(held, at, offers_);
    }
    client_gone_.add();
  }
}

void server::refused_worker(std::optional<std::string> reason) noexcept {
  post({.what = event::kind::worker_exited, .reason = std::move(reason).value_or("")});
}

void server::ask_for_room() noexcept {
  if (!room_asked_.exchange(true)) post({.what = event::kind::room_asked});
}

void server::post(event&& happened) noexcept {
  // Otherwise the supervisor stops waiting for a worker that does not report.
  if (!events_.post(std::move(happened))) log_line("an event for the supervisor was lost; its worker count may be off by one");
}

std::optional<event> server::next_event(gvl const& held, std::optional<double> seconds) {
  event next;
  pop_result popped = pop_result::empty;
  auto const over = [&] {
    popped = events_.try_pop(next);
    return popped != pop_result::empty;
  };
  if (seconds) {
    if (!kino::wait_for(held, events_.posted(), std::chrono::duration<double>(*seconds), over)) return event{};
  } else {
    kino::wait(held, events_.posted(), over);
  }
  if (popped == pop_result::closed) return std::nullopt;
  if (next.what == event::kind::room_asked) room_asked_.store(false);
  return next;
}

server_statistics server::statistics() const {
  server_statistics all{};
  all.slots = queue_.slots().snapshot();
  for (auto& one : all.slots) {
    // The dispatcher counts a request when its worker takes the next one. That is too late for a client that
    // asks for statistics after its response.
    one.served = workers_[one.index].context.served.load(std::memory_order_relaxed);  // see worker_context
    all.served += one.served;
    all.in_flight += one.in_flight;
  }
  std::uint64_t waited = 0;
  for (worker const& one : workers_) {
    all.waited_count += one.context.waited_count.load(std::memory_order_relaxed);  // see worker_context
    waited += one.context.waited_ns.load(std::memory_order_relaxed);
  }
  all.waited_seconds = static_cast<double>(waited) / 1e9;
  all.rejected = rejected_.total();
  all.shed = shed_.total();
  all.timeouts = timeouts_.total();
  all.client_gone = client_gone_.total();
  // Not the queue's length: what has ended stays in it until a worker comes to it. Ends are read before beginnings, but
  // the statistics are not a consistent snapshot.
  std::uint64_t const over =
      all.waited_count + all.client_gone + all.rejected + unserved_.total();
  std::uint64_t const received = received_.total();
  all.queued = received > over ? received - over : 0;
  all.overflow = waiting_.size();
  all.refused = refused_.total();
  all.respawns = respawns_.load(std::memory_order_relaxed);
  all.recycled = recycled_.load(std::memory_order_relaxed);
  all.quarantined = quarantine_.size();
  all.quarantines = quarantine_.total();
  all.alive = alive_.load(std::memory_order_relaxed);
  all.connections = http_.connections();
  all.websockets = websockets_;
  all.websocket_events = websocket_events_.total();
  if (http_.tls()) all.tls = http_.tls()->statistics();
  return all;
}

}  // namespace kino::server
