// SPDX-License-Identifier: MIT

#include "observers/access_log.hpp"

#include "base/log_destination.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>

namespace kino::server {

namespace {
// To within a few milliseconds, at a fraction of the cost.
std::chrono::system_clock::time_point wall_clock_now() noexcept {
#ifdef CLOCK_REALTIME_COARSE
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(
      std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec)));
#else
  return std::chrono::system_clock::now();
#endif
}
}  // namespace

access_log::access_log(access_log_settings const& settings)
    : format_(settings.format, settings.color),
      sink_(log_destination(settings.destination)),
      sample_(std::max<std::uint32_t>(1, settings.sample)) {}

// relaxed: see counted_.
bool access_log::chosen(exchange_report const& report) noexcept {
  bool const failed = report.status >= 400 || report.how != exchange_end::complete;
  return failed || sample_ == 1 || counted_.fetch_add(1, std::memory_order_relaxed) % sample_ == 0;
}

void access_log::ended(exchange_report const& report) noexcept {
  if (!chosen(report)) return;
  try {
    line_buffer line;
    format_.append(line, report, wall_clock_now());
    static_cast<void>(sink_.write(line.text()));
  } catch (std::exception const&) {
    // No memory: the line is lost, like one that the sink has no room for.
  }
}

}  // namespace kino::server
