// SPDX-License-Identifier: MIT

#include "base/log_destination.hpp"

#include "base/log.hpp"
#include "base/options.hpp"
#include "base/system_log.hpp"

#include <kino/leaf_mutex.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unistd.h>

namespace kino::server {

namespace {

// Several lines for each of the largest queue of requests.
constexpr std::size_t capacity = std::size_t{4} << 20;

// Destinations are only added, in front, so readers need no lock.
struct destination {
  std::string name;
  kino::async_sink sink;
  std::uint64_t number = 1;  // 0: log()
  destination* next = nullptr;

  template <class Target>
  destination(std::string named, Target target)
      : name(std::move(named)),
        sink(std::move(target), {.capacity = capacity, .report = [this](std::uint64_t lines) { return report(lines); }}) {}

  // Reported in the server's log: a line here would be in the way of what reads this destination.
  std::string report(std::uint64_t lines) const {
    log_line(std::to_string(lines) + " log lines for " + name.substr(0, name.find('?')) + " were dropped");
    return {};
  }
};

std::atomic<destination*> first{nullptr};

destination* find(std::string const& name) {
  // acquire: pairs with the release in log_destination.
  destination* each = first.load(std::memory_order_acquire);
  while (each && each->name != name) each = each->next;
  return each;
}

template <class Each>
void for_each_destination(Each each) {
  // acquire: as in find.
  for (destination* at = first.load(std::memory_order_acquire); at; at = at->next) each(at->sink);
}

std::unique_ptr<destination> open_destination(std::string const& name) {
  if (name == "stdout") return std::make_unique<destination>(name, STDOUT_FILENO);
  if (auto daemon = find_system_log(name)) return std::make_unique<destination>(name, std::move(*daemon));
  return std::make_unique<destination>(name, name);
}

// The destination of this name, which is not "stderr".
destination& find_or_open(std::string const& name) {
  if (destination* const known = find(name)) return *known;
  auto fresh = open_destination(name);
  static kino::leaf_mutex adding;
  std::lock_guard const guard(adding);
  if (destination* const meanwhile = find(name)) return *meanwhile;
  fresh->next = first.load(std::memory_order_relaxed);  // only written under the lock
  if (fresh->next) fresh->number = fresh->next->number + 1;
  first.store(fresh.get(), std::memory_order_release);  // pairs with find
  return *fresh.release();
}

}  // namespace

kino::async_sink& log_destination(std::string const& name) {
  return name == "stderr" ? log() : find_or_open(name).sink;
}

std::uint64_t log_number(std::string const& name) { return name == "stderr" ? 0 : find_or_open(name).number; }

kino::async_sink* log_with(std::uint64_t number) noexcept {
  if (number == 0) return &log();
  // acquire: as in find.
  destination* at = first.load(std::memory_order_acquire);
  while (at && at->number != number) at = at->next;
  return at ? &at->sink : nullptr;
}

void reopen_logs() noexcept {
  for_each_destination([](kino::async_sink& sink) { sink.reopen(); });
  log().reopen();
}

bool flush_logs(std::chrono::nanoseconds patience) noexcept {
  auto const until = clock::now() + patience;
  bool all = true;
  auto const flush = [&](kino::async_sink& sink) {
    all = sink.flush(std::max<std::chrono::nanoseconds>(until - clock::now(), std::chrono::nanoseconds(0))) && all;
  };
  for_each_destination(flush);
  flush(log());  // the last one: it has the reports of the others
  return all;
}

}  // namespace kino::server
