// SPDX-License-Identifier: MIT

#include "observers/request_metrics.hpp"

#include <atomic>

namespace kino::server {

namespace {

constexpr clock::time_point never{};

std::size_t class_of(int status) noexcept {
  if (status < 100) return 0;
  return status < 600 ? static_cast<std::size_t>(status / 100) : 5;
}

// Not inlined: see append_utc_time.
[[gnu::noinline]] std::size_t number_of_this_thread() noexcept {
  static std::atomic<std::size_t> numbers{0};
  static thread_local std::size_t const mine = numbers.fetch_add(1, std::memory_order_relaxed);  // only its own values matter
  return mine;
}

}  // namespace

request_metrics::copy& request_metrics::mine() noexcept { return copies_[number_of_this_thread() % copies]; }

void request_metrics::ended(exchange_report const& report) noexcept {
  copy& to = mine();
  to.ends[static_cast<std::size_t>(report.how)].add();
  to.request_bytes.add(report.request_bytes);
  to.response_bytes.add(report.response_bytes);
  to.total[class_of(report.status)].record(report.ended - report.started);
  if (report.label) static_cast<route_times*>(report.label)->total[class_of(report.status)].record(report.ended - report.started);
  if (report.ready == never) return;
  bool const taken = report.taken != never;
  // One that no worker took has waited until its response, or its end.
  clock::time_point const answered = report.answered != never ? report.answered : report.ended;
  to.queue.record((taken ? report.taken : answered) - report.ready);
  if (taken) to.app.record(answered - report.taken);
}

void request_metrics::add_to(request_totals& sums) const noexcept {
  for (std::size_t i = 0; i != copies; ++i) {
    copy const& one = copies_[i];
    sums.queue.add(one.queue);
    sums.app.add(one.app);
    for (std::size_t each = 0; each != one.total.size(); ++each) sums.total[each].add(one.total[each]);
    for (std::size_t each = 0; each != one.ends.size(); ++each) sums.ends[each] += one.ends[each].total();
    sums.request_bytes += one.request_bytes.total();
    sums.response_bytes += one.response_bytes.total();
  }
}

}  // namespace kino::server
