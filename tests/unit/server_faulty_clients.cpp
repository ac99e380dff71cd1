// SPDX-License-Identifier: MIT
//
// Hundreds of concurrent clients that disconnect, stall and send wrong lengths, among correct ones. The main test of the
// http_server under ThreadSanitizer.

#include "net/http_server.hpp"

#include "../support/await.hpp"
#include "../support/captured_log.hpp"
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

void respond_in_pieces(exchange::reply const& each) {
  exchange& to = exchange::of(each);
  server::response_writer writer = begin_answer(each, pieces * 10'000);
  std::string const bytes(10'000, 'p');
  for (std::size_t i = 0; i < pieces; ++i) {
    if (writer.write(bytes) != server::response_writer::result::above_high_watermark) continue;
    while (to.await_room()) static_cast<void>(to.departures().park(std::nullopt));
  }
  static_cast<void>(writer.finish());
}

// Responds as the target says, and waits for slow clients like a worker of the Rack server.
void respond(exchange::reply const& each) {
  exchange& from = exchange::of(each);
  std::string_view const target = from.head().target();
  if (target.starts_with("/large")) {
    answer(each, std::string(large, 'l'));
  } else if (target.starts_with("/pieces")) {
    respond_in_pieces(each);
  } else if (target.starts_with("/drop")) {
    return;  // like a worker that dies: the client gets 500
  } else if (!from.client_gone()) {
    answer(each, read_body(from));
  }
}

std::string post(std::string_view target, std::size_t length) {
  return "POST " + std::string(target) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

// Counts the ends of exchanges: every exchange that was handed over or refused has one.
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

// One visit of one client. Returns true if it got a wrong response, or none where it is due one.
bool visit(std::uint16_t port, stress::dice& chance) {
  client one(port);
  switch (chance.below(14)) {
    case 0:  // Sends correct requests.
      for (int i = 0; i < 3; ++i) {
        if (!one.send(get) || one.read_response().status != 200) return true;
      }
      return false;
    case 1: {  // Sends a correct request in fragments.
      std::string const body(1 + chance.below(200'000), 'b');
      std::string const all = post(chance.once_in(2) ? "/" : "/stream", body.size()) + body;
      for (std::size_t at = 0; at < all.size();) {
        std::size_t const next = std::min<std::size_t>(1 + chance.below(50'000), all.size() - at);
        if (!one.send(std::string_view(all).substr(at, next))) return true;
        at += next;
      }
      return one.read_response().body != body;
    }
    case 2:  // Does not wait for the response.
      static_cast<void>(one.send(get));
      one.reset();
      return false;
    case 3: {  // Shuts down its sending side and still gets its response.
      if (!one.send(get_large)) return true;
      one.half_close();
      return one.read_response().body.size() != large || !one.ended();
    }
    case 4:  // Disconnects within the headers.
      static_cast<void>(one.send(get.substr(0, chance.below(get.size()))));
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    case 5: {  // Disconnects within a collected or a streamed body.
      std::size_t const length = 1 + chance.below(300'000);
      std::string const begun(chance.below(static_cast<std::uint32_t>(length)), 'b');
      static_cast<void>(one.send(post(chance.once_in(2) ? "/" : "/stream", length) + begun));
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    }
    case 6: {  // Shuts down its sending side within a body.
      static_cast<void>(one.send(post(chance.once_in(2) ? "/" : "/stream", 100'000) + "begun"));
      one.half_close();
      while (!one.ended()) static_cast<void>(one.read_some(SIZE_MAX));
      return one.waited_in_vain();
    }
    case 7: {  // Reads everything in small steps. (With a smaller window, TCP itself pauses for tenths of a second.)
      one.receive_little_ahead(64 * 1024);
      if (!one.send(chance.once_in(2) ? get_large : get_pieces)) return true;
      return one.read_response().status != 200;
    }
    case 8: {  // Disconnects after reading a little of a large response.
      one.receive_little_ahead();
      static_cast<void>(one.send(chance.once_in(2) ? get_large : get_pieces));
      for (auto some = chance.below(5); some != 0; --some) static_cast<void>(one.read_some(1000));
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    }
    case 9: {  // Pipelines more than the server reads ahead, and disconnects after some responses.
      std::string all;
      for (int i = 0; i < 60; ++i) all += chance.once_in(10) ? get_large : get;
      static_cast<void>(one.send(all));
      for (auto some = chance.below(20); some != 0; --some) {
        if (one.read_response().status != 200) return true;
      }
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    }
    case 10: {  // Sends random bytes.
      std::string noise(1 + chance.below(3000), ' ');
      for (char& each : noise) each = static_cast<char>(chance.below(256));
      static_cast<void>(one.send(noise + "\r\n\r\n"));
      one.half_close();
      while (!one.ended()) static_cast<void>(one.read_some(SIZE_MAX));
      return one.waited_in_vain();
    }
    case 11:  // Gets 100 and disconnects instead of continuing.
      static_cast<void>(one.send("POST /stream HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
      if (one.read_response().status != 100) return true;
      chance.once_in(2) ? one.reset() : one.close();
      return false;
    case 12:  // Sends a malformed chunk.
      static_cast<void>(one.send(chance.once_in(2) ? "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeX"
                                                   : "POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeX"));
      while (!one.ended()) static_cast<void>(one.read_some(SIZE_MAX));
      return one.waited_in_vain();
    default:  // Pipelines a request that its worker drops.
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

TEST_CASE("faulty clients do not affect the others and leak nothing") {
  std::uint32_t const visits = stress::scaled(400);
  captured_log log;
  INFO(log);
  int const before = open_descriptors();
  {
    desk requests;
    auto const ends = std::make_shared<counting>();
    server::options observed = settings();
    observed.observes = ends;
    running_http_server http(requests, observed);
    serving_threads const serving(requests, 3, respond);
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

// Deadlines expire almost immediately, so which response a client gets depends on a race.
TEST_CASE("with deadlines that no client can meet, every connection ends") {
  captured_log log;
  INFO(log);
  server::options hasty = settings();
  hasty.connection.header_timeout = hasty.connection.body_timeout = std::chrono::milliseconds(2);
  hasty.connection.keep_alive_timeout = std::chrono::milliseconds(2);
  hasty.connection.min_body_rate = hasty.connection.min_response_rate = 1'000'000'000;
  hasty.connection.rate_grace = std::chrono::milliseconds(2);
  auto const ends = std::make_shared<counting>();
  hasty.observes = ends;
  desk requests;
  running_http_server http(requests, hasty);
  serving_threads const serving(requests, 3, respond);
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

TEST_CASE("an HTTP server that drains and then closes ends all connections") {
  captured_log log;
  INFO(log);
  for (std::uint32_t round = 1; round <= stress::scaled(20); ++round) {
    CAPTURE(round);
    desk requests;
    running_http_server http(requests, settings());
    serving_threads const serving(requests, 3, respond);
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
