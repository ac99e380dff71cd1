// SPDX-License-Identifier: MIT
//
// An HTTP server that runs out of memory: whichever allocation fails, no request is lost and the server keeps serving.

#include "net/http_server.hpp"
#include "admission/queue_deadline.hpp"
#include "admission/admission_queue.hpp"

#include "../support/await.hpp"
#include "../support/captured_log.hpp"
#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

// Which allocations fail: the one `left` from now, and every `interval`-th after it; none at zero. One atomic, so that
// none fails after a test has ended this.
struct shortage {
  std::uint32_t left = 0;
  std::uint32_t interval = 0;
};
// relaxed, everywhere: ThreadSanitizer must not see an order among the server's threads that only this test makes.
std::atomic<shortage> short_of{};
thread_local bool exempt = false;

void fail_at(std::uint32_t left, std::uint32_t interval = 0) {
  short_of.store({left, interval}, std::memory_order_relaxed);
}
// Returns whether an allocation that was to fail has not been made.
bool end_shortage() { return short_of.exchange({}, std::memory_order_relaxed).left != 0; }

bool fails() {
  if (exempt) return false;
  shortage now = short_of.load(std::memory_order_relaxed);
  while (now.left != 0) {
    shortage const next{now.left == 1 ? now.interval : now.left - 1, now.interval};
    if (short_of.compare_exchange_weak(now, next, std::memory_order_relaxed)) return now.left == 1;
  }
  return false;
}

}  // namespace

void* operator new(std::size_t size) {
  void* const place = fails() ? nullptr : std::malloc(size);
  if (!place) throw std::bad_alloc();
  return place;
}
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  return fails() ? nullptr : std::malloc(size);
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }

#ifdef KINO_TEST_WRAPS_MALLOC
extern "C" {
void* __real_realloc(void*, std::size_t);
void* __real_aligned_alloc(std::size_t, std::size_t);
void* __wrap_realloc(void* place, std::size_t size) {
  return fails() ? nullptr : __real_realloc(place, size);
}
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size) {
  return fails() ? nullptr : __real_aligned_alloc(alignment, size);
}
}
#endif

namespace {

// Connects an http_server and workers as a server does: a queue, here for one request, the admission queue before it, and
// the deadline for both.
class queueing_handler final : public server::request_handler {
public:
  explicit queueing_handler(server::clock::duration timeout = std::chrono::hours(1))
      : http_(*this),
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
  // The next request that has not expired; empty once the queue is closed.
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

// Responds to each request with its body, a large body, or a stream, as the target says.
void serve(exchange::reply const& each) {
  exchange& from = exchange::of(each);
  std::string_view const target = from.head().target();
  if (target == "/large") return answer(each, std::string(200'000, 'l'));
  std::string const body = read_body(from);
  if (target != "/stream") return answer(each, body);
  server::response_writer writer = begin_answer(each, 3);
  for (int i = 0; i < 3; ++i) static_cast<void>(writer.write("s"));
  static_cast<void>(writer.finish());
}

void serve_or_drop(exchange::reply const& each) {
  try {
    serve(each);
  } catch (std::bad_alloc const&) {  // the dropped request gets 500
  }
}

struct message {
  std::string request;
  std::string body;  // of the response
};

std::string post(std::string const& body, char const* target = "/") {
  return std::string("POST ") + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::vector<std::vector<message>> conversations() {
  std::string const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string const large = "GET /large HTTP/1.1\r\nHost: a.name.that.is.long.enough.to.be.allocated\r\n\r\n";
  std::string const stream = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string const chunked =
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nabcde\r\n0\r\nX-Check: some value\r\nX-Other: other\r\n\r\n";
  std::string const medium(20'000, 'm');
  std::string const much(150'000, 'b');
  std::string const all_large(200'000, 'l');
  std::vector<std::vector<message>> all;
  all.push_back({{get, ""}, {get, ""}, {stream, "sss"}, {get, ""}});
  all.push_back({{post("small"), "small"}, {post(medium), medium}, {post(much), much}, {get, ""}});
  all.push_back({{chunked, "abcde"}, {get, ""}});
  // Pipelined: more than the server reads ahead.
  std::vector<message> pipeline(40, {get, ""});
  for (std::size_t i = 0; i < pipeline.size(); i += 8) pipeline[i] = {large, all_large};
  all.push_back(pipeline);
  return all;
}

// Sends all requests, those of a conversation at once. Returns the number of wrong responses: missing ones, and those that
// are neither correct nor an error that ends the connection.
int converse(std::uint16_t port, std::vector<std::vector<message>> const& all) {
  int wrong = 0;
  std::vector<client> clients(all.size());
  std::vector<std::thread> senders;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!clients[i].connect(port)) return 1'000'000;
    senders.emplace_back([&, i] {
      exempt = true;
      for (message const& each : all[i]) {
        if (!clients[i].send(each.request)) break;
      }
    });
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    client& asking = clients[i];
    for (message const& each : all[i]) {
      response got = asking.read_response();
      if (got.status == 100) got = asking.read_response();
      if (got.status == 200 && got.body == each.body) continue;
      wrong += got.status != 0 && got.status != 500 && got.status != 503;
      wrong += !asking.ended();
      break;
    }
    wrong += asking.waited_in_vain();
  }
  for (client& each : clients) each.half_close();
  for (std::thread& each : senders) each.join();
  return wrong;
}

}  // namespace

TEST_CASE("whichever allocation fails, no request is lost and the server continues to serve") {
  exempt = true;
  captured_log log;
  INFO(log);
  auto const all = conversations();
  int const before = open_descriptors();
  std::uint32_t allocations = 0;
  for (std::uint32_t n = 1; allocations == 0; ++n) {
    CAPTURE(n);
    queueing_handler requests;
    serving_threads const serving(requests, 1, serve_or_drop);
    fail_at(n);
    CHECK(converse(requests.port(), all) == 0);
    if (end_shortage()) allocations = n;
    client asking(requests.port());
    REQUIRE(asking.send(post("still here")));
    CHECK(asking.read_response().body == "still here");
    asking.close();
    await([&] { return requests.http().connections() == 0; });
    CHECK(requests.http().live() == 0);
  }
  CHECK(open_descriptors() == before);
  CHECK(allocations > 20);  // the server's allocations have been failed
}

TEST_CASE("a server that cannot start for lack of memory leaks no descriptor") {
  exempt = true;
  captured_log log;
  INFO(log);
  int const before = open_descriptors();
  desk requests;
  server::options const settings = patient_settings();
  bool made = false;
  for (std::uint32_t n = 1; !made; ++n) {
    try {
      server::http_server http(settings, requests);
      exempt = false;
      fail_at(n);
      http.listen();
      http.start();
      made = end_shortage();
    } catch (std::exception const&) {
    }
    fail_at(0);
    exempt = true;
    REQUIRE(open_descriptors() == before);
  }
}

TEST_CASE("whichever allocation fails, requests that no worker takes expire, in the queue and before it") {
  exempt = true;
  captured_log log;
  INFO(log);
  bool all_failed = false;
  for (std::uint32_t n = 1; !all_failed; ++n) {
    CAPTURE(n);
    queueing_handler requests(std::chrono::milliseconds(1));
    std::vector<client> clients(3);
    fail_at(n);
    for (client& each : clients) {
      REQUIRE(each.connect(requests.port()));
      static_cast<void>(each.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    for (client& each : clients) {
      int const status = each.read_response().status;
      CHECK((status == 503 || status == 0));
      CHECK(!each.waited_in_vain());
    }
    all_failed = end_shortage();
  }
}

TEST_CASE("if every n-th allocation fails, every request gets a response or the end of its connection") {
  exempt = true;
  captured_log log;
  INFO(log);
  auto const all = conversations();
  queueing_handler requests;
  {
    serving_threads const serving(requests, 1, serve_or_drop);
    for (std::uint32_t each :
         {2u, 3u, 5u, 7u, 11u, 17u, 23u, 31u, 43u, 57u, 71u, 89u, 101u, 127u, 151u, 211u, 307u, 401u, 503u, 1009u}) {
      CAPTURE(each);
      fail_at(each, each);
      CHECK(converse(requests.port(), all) == 0);
    }
    fail_at(0);
    CHECK(converse(requests.port(), all) == 0);
    client asking(requests.port());
    REQUIRE(asking.send(post("still here")));
    CHECK(asking.read_response().body == "still here");
  }
  await([&] { return requests.http().connections() == 0; });
}
