// SPDX-License-Identifier: MIT
//
// Hundreds of concurrent clients that disconnect, stall and send wrong lengths, among correct ones. This
// is the main test of the http_server under ThreadSanitizer.

#include "net/http_server.hpp"
#include "base/log.hpp"

#include "../support/await.hpp"
#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view get_large = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view get_pieces = "GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::size_t large = 600'000;
constexpr std::size_t pieces = 40;

// Workers that answer as the target asks, and wait for slow clients as Rack's workers do.
class crew {
public:
  explicit crew(desk& requests) : requests_(requests) {
    for (int i = 0; i < 3; ++i) threads_.emplace_back([this] { work(); });
  }
  ~crew() {
    requests_.close();
    for (std::thread& each : threads_) each.join();
  }

private:
  void work() {
    while (exchange::reply const each = requests_.next()) {
      exchange& from = exchange::of(each);
      std::string_view const target = from.head().target();
      if (target.starts_with("/large")) {
        answer(each, std::string(large, 'l'));
      } else if (target.starts_with("/pieces")) {
        answer_in_pieces(each);
      } else if (target.starts_with("/drop")) {
        continue;  // As a worker that dies: the client gets 500.
      } else {
        if (from.client_gone()) continue;
        answer(each, read_body(from));
      }
    }
  }
  static void answer_in_pieces(exchange::reply const& each) {
    exchange& to = exchange::of(each);
    server::response_writer writer = begin_answer(each, pieces * 10'000);
    std::string const bytes(10'000, 'p');
    for (std::size_t i = 0; i < pieces; ++i) {
      if (writer.write(bytes) != server::response_writer::result::above_high_watermark) continue;
      while (to.await_room()) static_cast<void>(to.departures().park(std::nullopt));
    }
    static_cast<void>(writer.finish());
  }

  desk& requests_;
  std::vector<std::thread> threads_;
};

std::string post(std::string_view target, std::size_t length) {
  return "POST " + std::string(target) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

// Counts the ends of exchanges: each of those that were handed over, or refused, has one.
class counting final : public server::observer {
public:
  [[nodiscard]] int handed_over() const { return handed_over_; }
  [[nodiscard]] int refused() const { return refused_; }

private:
  void ended(server::exchange_report const& report) noexcept override {
    if (report.ready != server::clock::time_point{}) ++handed_over_;
    if (report.how == server::exchange_end::refused) ++refused_;
  }

  std::atomic<int> handed_over_{0};
  std::atomic<int> refused_{0};
};

// One visit of one client. Returns whether what it got was wrong, where it was entitled to something.
bool visit(std::uint16_t port, stress::dice& chance) {
  client one(port);
  switch (chance.below(14)) {
    case 0:  // Nothing wrong with this one, ...
      for (int i = 0; i < 3; ++i) {
        if (!one.send(get) || one.read_response().status != 200) return true;
      }
      return false;
    case 1: {  // ... and that one, which sends in fragments.
      std::string const body(1 + chance.below(200'000), 'b');
      std::string const all = post(chance.once_in(2) ? "/" : "/stream", body.size()) + body;
      for (std::size_t at = 0; at < all.size();) {
        std::size_t const next = std::min<std::size_t>(1 + chance.below(50'000), all.size() - at);
        if (!one.send(std::string_view(all).substr(at, next))) return true;
        at += next;
      }
      return one.read_response().body != body;
    }
    case 2:  // Asks, and does not wait.
      static_cast<void>(one.send(get));
      one.reset();
      return false;
    case 3: {  // Closes its sending side, and is still answered.
      if (!one.send(get_large)) return true;
      one.half_close();
      return one.read_response().body.size() != large || !one.ended();
    }
    case 4:  // Leaves in the middle of a head, ...
      static_cast<void>(one.send(get.substr(0, chance.below(get.size()))));
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    case 5: {  // ... of a body that is collected or of one that a worker reads, ...
      std::size_t const length = 1 + chance.below(300'000);
      std::string const begun(chance.below(static_cast<std::uint32_t>(length)), 'b');
      static_cast<void>(one.send(post(chance.once_in(2) ? "/" : "/stream", length) + begun));
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    }
    case 6: {  // ... only with its own side.
      static_cast<void>(one.send(post(chance.once_in(2) ? "/" : "/stream", 100'000) + "begun"));
      one.half_close();
      while (!one.ended()) static_cast<void>(one.read_some(SIZE_MAX));
      return one.waited_in_vain();
    }
    case 7: {  // Reads in small steps, but all of it. (With a smaller window TCP itself pauses for tenths of a second.)
      one.receive_little_ahead(64 * 1024);
      if (!one.send(chance.once_in(2) ? get_large : get_pieces)) return true;
      return one.read_response().status != 200;
    }
    case 8: {  // Reads a little of a large answer and leaves.
      one.receive_little_ahead();
      static_cast<void>(one.send(chance.once_in(2) ? get_large : get_pieces));
      for (auto some = chance.below(5); some != 0; --some) static_cast<void>(one.read_some(1000));
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    }
    case 9: {  // Pipelines more than is read ahead; leaves after some answers.
      std::string all;
      for (int i = 0; i < 60; ++i) all += chance.once_in(10) ? get_large : get;
      static_cast<void>(one.send(all));
      for (auto some = chance.below(20); some != 0; --some) {
        if (one.read_response().status != 200) return true;
      }
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    }
    case 10: {  // Is no HTTP client at all.
      std::string noise(1 + chance.below(3000), ' ');
      for (char& each : noise) each = static_cast<char>(chance.below(256));
      static_cast<void>(one.send(noise + "\r\n\r\n"));
      one.half_close();
      while (!one.ended()) static_cast<void>(one.read_some(SIZE_MAX));
      return one.waited_in_vain();
    }
    case 11:  // Asks for 100-continue and leaves instead of continuing.
      static_cast<void>(one.send("POST /stream HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
      if (one.read_response().status != 100) return true;
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    case 12:  // Breaks its chunks; what a worker reads of them before is no request.
      static_cast<void>(one.send(chance.once_in(2) ? "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeX"
                                                   : "POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeX"));
      while (!one.ended()) static_cast<void>(one.read_some(SIZE_MAX));
      return one.waited_in_vain();
    default:  // Asks for what no worker answers, behind another request.
      if (!one.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /drop HTTP/1.1\r\nHost: x\r\n\r\n")) return true;
      return one.read_response().status != 200 || one.read_response().status != 500;
  }
}

server::options settings() {
  server::options chosen = patient_settings(2);
  chosen.stream_body = {"/stream"};
  return chosen;
}

constexpr std::uint32_t visitors = 6;

}  // namespace

TEST_CASE("whatever some clients do, the others are served, and nothing of them stays") {
  std::uint32_t const visits = stress::scaled(400);
  // The log has a thread and descriptors of its own, from its first line on.
  server::log_line("a test of faulty clients");
  int const before = open_descriptors();
  {
    desk requests;
    auto const ends = std::make_shared<counting>();
    server::options observed = settings();
    observed.observes = ends;
    running_http_server http(requests, observed);
    crew const workers(requests);
    std::atomic<std::uint64_t> done{0};
    std::atomic<int> wrong{0};
    stress::watchdog const watchdog([&] { return done.load(); }, [&] { return std::to_string(done) + " visits done"; });
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < visitors; ++i) {
      threads.emplace_back([&, i] {
        for (std::uint32_t n = 0; n < visits; ++n, ++done) {
          std::uint32_t const seed = i * visits + n + 1;
          stress::dice chance(seed);
          if (!visit(http.port(), chance)) continue;
          std::fprintf(stderr, "visit %u went wrong\n", seed);
          ++wrong;
        }
      });
    }
    for (std::thread& each : threads) each.join();
    CHECK(wrong == 0);
    await([&] { return http.get().connections() == 0; });
    CHECK(http.get().live() == 0);
    await([&] { return ends->handed_over() == requests.handed_over(); });
    CHECK(ends->refused() == requests.refusals());
    CHECK(ends->refused() > 0);
  }
  CHECK(open_descriptors() == before);
}

// Every deadline passes immediately here, so a client's response depends on a race. That it gets
// a response, or the end of its connection, does not.
TEST_CASE("with deadlines that nobody can keep, every connection ends") {
  server::options hasty = settings();
  hasty.connection.header_timeout = hasty.connection.body_timeout = std::chrono::milliseconds(2);
  hasty.connection.keep_alive_timeout = std::chrono::milliseconds(2);
  hasty.connection.min_body_rate = hasty.connection.min_response_rate = 1'000'000'000;
  hasty.connection.rate_grace = std::chrono::milliseconds(2);
  auto const ends = std::make_shared<counting>();
  hasty.observes = ends;
  desk requests;
  running_http_server http(requests, hasty);
  crew const workers(requests);
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < visitors; ++i) {
    threads.emplace_back([&, i] {
      stress::dice chance(i + 1);
      for (std::uint32_t n = 0; n < stress::scaled(150); ++n) static_cast<void>(visit(http.port(), chance));
    });
  }
  for (std::thread& each : threads) each.join();
  await([&] { return http.get().connections() == 0; });
  CHECK(http.get().live() == 0);
  await([&] { return ends->handed_over() == requests.handed_over(); });
}

TEST_CASE("a HTTP server that drains and then closes ends all visits") {
  for (std::uint32_t round = 1; round <= stress::scaled(20); ++round) {
    CAPTURE(round);
    desk requests;
    running_http_server http(requests, settings());
    crew const workers(requests);
    std::atomic<bool> over{false};
    std::atomic<std::uint32_t> done{0};
    std::uint16_t const port = http.port();
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < visitors; ++i) {
      threads.emplace_back([&, i] {
        stress::dice chance(round * visitors + i);
        for (; !over; ++done) static_cast<void>(visit(port, chance));
      });
    }
    await([&] { return done >= visitors; });
    http.get().begin_drain();
    await([&] { return done >= 2 * visitors; });
    over = true;
    http.get().stop_accepting();
    http.get().close_connections();
    for (std::thread& each : threads) each.join();
    await([&] { return http.get().connections() == 0; });
  }
}
