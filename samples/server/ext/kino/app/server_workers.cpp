// SPDX-License-Identifier: MIT
//
// How workers join and leave a server, and how they are replaced: after max_requests, or because they are stuck.

#include "app/server.hpp"
#include "base/log.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace kino::server {

namespace {

// A handler that sleeps or waits with a time limit is woken by the kernel up to 50 microseconds late, so that timers
// may go off together. A hundredth of a wait of 5 ms is worth more here than a wake-up saved.
void wake_exactly() {
#ifdef __linux__
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // nanoseconds, of the calling thread
#endif
}

// At most so many workers that do not end are named, since most of them wait for the same thing.
constexpr std::size_t most_told = 10;

std::string thread_of(current_requests::view const& request) {
  if (request.thread_id == 0) return {};
  return "; its thread is " + std::to_string(request.thread_id) + " of the operating system";
}

std::string seconds(clock::duration time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", std::chrono::duration<double>(time).count());
  return text.data();
}

}  // namespace

std::size_t server::join(gvl const& held, std::size_t unit) {
  recycler_.expect(unit);
  queue::worker& joined = queue_.join(held);
  wake_exactly();
  joined_.fetch_add(1);
  workers_[joined.index()].joined = &joined;
  workers_[joined.index()].dismissed = false;
  recycler_.joined(joined.id(), unit);
  current_.joined(joined.index());
  post({.what = event::kind::worker_joined, .worker = joined.id()});
  return joined.index();
}

void server::leave(gvl const& held, std::size_t slot, std::optional<std::string> reason) {
  worker& leaving = worker_at(slot);
  bool const dismissed = leaving.dismissed && !reason;
  queue::worker& gone = *std::exchange(leaving.joined, nullptr);
  leaving.context.let_go();
  response_deadline_.forget(slot);
  current_.ended(slot);
  kino::worker_id const who = gone.id();
  recycler_.left(who);
  bool const aside = queue_.slots().view_of(slot).quarantined;
  queue_.leave(held, gone);
  if (aside) quarantine_.left();
  post({.what = event::kind::worker_exited, .worker = who, .reason = std::move(reason).value_or(""), .dismissed = dismissed});
  joined_.fetch_sub(1);
}

// Tells the supervisor of a unit that is due, and dismisses workers that have a successor.
void server::recycle(std::size_t slot) {
  worker_recycler::advice const advice = recycler_.take(slot);
  if (advice.due) post({.what = event::kind::unit_due, .unit = *advice.due});
  for (kino::worker_id const former : advice.to_be_dismissed) queue_.dismiss(former);
}

quarantine::callbacks server::stuck_workers() {
  return {.mark = [this](kino::worker_id who, bool on) { return queue_.quarantine(who, on); },
          .put_aside = [this](kino::worker_slots::view const& stuck, std::size_t aside) { put_aside(stuck, aside); },
          .full =
              [this](kino::worker_slots::view const& stuck) {
                try {
                  say_stuck(stuck, "but quarantine_max (" + std::to_string(quarantine_settings_.most) +
                                       ") is reached: it and others that get stuck keep their places until one that was put aside returns; "
                                       "a restart of the server replaces all");
                } catch (std::bad_alloc const&) {
                  log_line("quarantine_max is reached");
                }
              },
          .none_left = [this](bool now) { http_.place().stuck(now); }};
}

// It ends when it returns to take a request, and its unit does not wait for it. Its permit is not counted anyway: one that blocks
// has lent it, and one that runs loses it after a slice if there is work.
void server::put_aside(kino::worker_slots::view const& stuck, std::size_t aside) noexcept {
  recycler_.left(stuck.id());
  try {
    say_stuck(stuck, "so it is put aside, and another worker takes its place (" + std::to_string(aside) + " of quarantine_max " +
                         std::to_string(quarantine_settings_.most) + ")");
  } catch (std::bad_alloc const&) {
    log_line("a worker is stuck and put aside");
  }
  post({.what = event::kind::worker_stuck, .worker = stuck.id()});
  queue_.dismiss(stuck.id());  // Then the supervisor learns of its end later.
}

// "worker 3 has had GET /report for 120.0 s", as far as that is known.
std::string server::account_of(kino::worker_slots::view const& worker, current_requests::view const& request) const {
  std::string text = "worker " + std::to_string(worker.index) + " has ";
  if (worker.in_flight == 0) return text + "no request";
  text += "had ";
  if (request.busy) {
    text += request.method + ' ' + request.path + (request.cut ? "..." : "");
  } else {
    text += current_.kept() ? "an event of a WebSocket" : "a request";
  }
  return text + " for " + seconds(worker.busy);
}

// In native code, because Ruby may be what is stuck.
void server::say_stuck(kino::worker_slots::view const& stuck, std::string_view consequence) const {
  current_requests::view const request = current_.of(stuck.index);
  std::string text = account_of(stuck, request) + ", longer than quarantine_timeout (" + seconds(quarantine_settings_.timeout) + "), ";
  log_line(text.append(consequence).append(thread_of(request)));
}

void server::say_remaining() const {
  std::size_t remaining = 0;
  for (std::size_t i = 0; i != queue_.slots().size(); ++i) {
    kino::worker_slots::view const worker = queue_.slots().view_of(i);
    if (!worker.occupied || ++remaining > most_told) continue;
    current_requests::view const request = current_.of(i);
    log_line(account_of(worker, request) + " and does not end" + thread_of(request));
  }
  if (remaining > most_told) log_line(std::to_string(remaining - most_told) + " more workers do not end");
}

}  // namespace kino::server
