// SPDX-License-Identifier: MIT
//
// A server some of whose allocations fail. Only one file of a program may include it: it replaces operator new.

#pragma once

#include "admission/admission_queue.hpp"
#include "admission/queue_deadline.hpp"
#include "net/http_server.hpp"

#include "await.hpp"
#include "http_server_test.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace allocation_test {

namespace server = kino::server;
using http_server_test::answer;
using http_server_test::begin_answer;
using http_server_test::read_body;
using http_server_test::running_http_server;
using server::exchange;

/// Which allocations fail: the one `left` from now, and every `interval`-th after it; none at zero. One atomic, so that
/// none fails after a test has ended this.
struct shortage {
  std::uint32_t left = 0;
  std::uint32_t interval = 0;
};
// relaxed, everywhere: ThreadSanitizer must not see an order among the server's threads that only this test makes.
inline std::atomic<shortage> short_of{};
/// Whether the allocations of this thread do not fail.
inline thread_local bool exempt = false;

inline void fail_at(std::uint32_t left, std::uint32_t interval = 0) {
  short_of.store({left, interval}, std::memory_order_relaxed);
}
/// Returns whether an allocation that was to fail has not been made.
inline bool end_shortage() { return short_of.exchange({}, std::memory_order_relaxed).left != 0; }

inline bool fails() {
  if (exempt) return false;
  shortage now = short_of.load(std::memory_order_relaxed);
  while (now.left != 0) {
    shortage const next{now.left == 1 ? now.interval : now.left - 1, now.interval};
    if (short_of.compare_exchange_weak(now, next, std::memory_order_relaxed)) return now.left == 1;
  }
  return false;
}

/// Connects an http_server and workers as a server does: a queue, here for one request, the admission queue before it, and
/// the deadline for both.
class queueing_handler final : public server::request_handler {
public:
  explicit queueing_handler(server::clock::duration timeout = std::chrono::hours(1),
                            server::options const& settings = http_server_test::patient_settings())
      : http_(*this, settings),
        deadline_(http_.get().first_thread(), timeout),
        waiting_(http_.get().first_thread(), timeout, [this](server::work& any) {
          switch (queue_.try_push(std::move(any.reply))) {
            case kino::push_result::pushed: return server::admission_queue::fate::accepted;
            case kino::push_result::full: return server::admission_queue::fate::full;
            default: return server::admission_queue::fate::closed;
          }
        }) {}
  ~queueing_handler() {
    close();
    while (next()) {}
    http_.get().stop();
  }
  void close() noexcept {
    queue_.close();
    waiting_.close();
    deadline_.close();
  }
  /// The next request that has not expired; empty once the queue is closed.
  exchange::reply next() {
    for (;;) {
      exchange::reply taken;
      static_cast<void>(queue_.pop(taken));
      waiting_.room_again();
      if (!taken || exchange::of(taken).begin()) return taken;
    }
  }
  [[nodiscard]] std::uint16_t port() const { return http_.port(); }
  [[nodiscard]] server::http_server& http() { return http_.get(); }

private:
  void handle(exchange::reply&& reply) noexcept override {
    deadline_.watch(reply);
    waiting_.enter(std::move(reply));
  }
  int status_for(kino::ending how, exchange&) noexcept override {
    return how == kino::ending::expired ? 503 : 500;
  }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}

  kino::channel<exchange::reply> queue_{1};
  running_http_server http_;
  server::queue_deadline deadline_;
  server::admission_queue waiting_;
};

/// Responds to each request with its body, a large body, or a stream, as the target says.
inline void serve(exchange::reply const& each) {
  exchange& from = exchange::of(each);
  std::string_view const target = from.head().target();
  if (target == "/large") return answer(each, std::string(200'000, 'l'));
  std::string const body = read_body(from);
  if (target != "/stream") return answer(each, body);
  server::response_writer writer = begin_answer(each, 3);
  for (int i = 0; i < 3; ++i) static_cast<void>(writer.write("s"));
  static_cast<void>(writer.finish());
}

inline void serve_or_drop(exchange::reply const& each) {
  try {
    serve(each);
  } catch (std::bad_alloc const&) {  // the dropped request gets 500
  }
}

/// Runs `converse(port)` against one server after the other: of the n-th one, the n-th allocation fails. Each must then pass
/// `check_service(port)` and have no connection left, and all of them leave no descriptor open. Returns the n of the first
/// server that made fewer than n allocations.
template <class Converse, class CheckService>
std::uint32_t fail_each_allocation(server::options const& settings, Converse converse, CheckService check_service) {
  int const before = http_server_test::open_descriptors();
  std::uint32_t allocations = 0;
  for (std::uint32_t n = 1; allocations == 0; ++n) {
    CAPTURE(n);
    queueing_handler requests(std::chrono::hours(1), settings);
    http_server_test::serving_threads const serving(requests, 1, serve_or_drop);
    fail_at(n);
    converse(requests.port());
    if (end_shortage()) allocations = n;
    check_service(requests.port());
    await([&] { return requests.http().connections() == 0; });
    CHECK(requests.http().live() == 0);
  }
  CHECK(http_server_test::open_descriptors() == before);
  return allocations;
}

}  // namespace allocation_test

// Not inlined: g++ would warn of memory from operator new that is freed.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const place = allocation_test::fails() ? nullptr : std::malloc(size);
  if (!place) throw std::bad_alloc();
  return place;
}
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  return allocation_test::fails() ? nullptr : std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t) noexcept { std::free(place); }

#ifdef KINO_TEST_WRAPS_MALLOC
extern "C" {
void* __real_realloc(void*, std::size_t);
void* __real_aligned_alloc(std::size_t, std::size_t);
void* __wrap_realloc(void* place, std::size_t size) {
  return allocation_test::fails() ? nullptr : __real_realloc(place, size);
}
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size) {
  return allocation_test::fails() ? nullptr : __real_aligned_alloc(alignment, size);
}
}
#endif
