// SPDX-License-Identifier: MIT
//
// HTTP/2 over sockets: clients with many streams at a time, some of which they reset, and workers that echo, stream, or
// forget requests. Every stream that was not reset gets its own body back.

#include "net/http_server.hpp"

#include "../support/await.hpp"
#include "../support/http2_client.hpp"
#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

// What a worker does is chosen by the first byte of the path.
void serve(exchange::reply const& reply) {
  exchange& from = exchange::of(reply);
  char const how = from.head().path().size() > 1 ? from.head().path()[1] : 'e';
  if (how == 'n') return;  // no answer
  if (how == 'u') return answer(reply, "unread");
  std::string const body = read_body(from);
  if (how != 's') {
    answer(reply, body, how == 'g');
    if (body.size() % 2 == 0) from.flush();  // as a worker that now waits
    return;
  }
  server::response_writer writer = begin_answer(reply, std::nullopt);
  for (std::size_t at = 0; at < body.size(); at += 3000) {
    if (writer.write(std::string_view(body).substr(at, 3000)) != server::response_writer::result::above_high_watermark) continue;
    if (from.await_room()) static_cast<void>(from.departures().park(std::nullopt));
  }
  static_cast<void>(writer.finish());
}

struct asked {
  char how;
  std::string body;
  bool reset = false;
};

// Whether what the client has seen of a stream is what its worker does.
bool is_right(asked const& one, http2_test::stream const& seen) {
  if (one.reset) return true;
  // A stream that was reset counts as long as a worker has it.
  if (seen.error == NGHTTP2_REFUSED_STREAM && seen.status == 0) return true;
  switch (one.how) {
    case 'n': return seen.status == 500;
    case 'u': return seen.body == "unread";
    default: return seen.body == one.body && seen.ended;
  }
}

// Returns the number of wrong answers of one connection.
int converse(std::uint16_t port, std::uint32_t seed, int requests) {
  stress::dice chance(seed);
  client socket(port);
  http2_test::client peer;
  std::map<std::int32_t, asked> open;
  int wrong = 0;
  for (int begun = 0;;) {
    while (begun < requests && open.size() < 20) {
      ++begun;
      asked one{"eggssun"[chance.below(7)], std::string(chance.once_in(4) ? chance.below(200'000) : chance.below(200), 'x')};
      for (char& each : one.body) each = static_cast<char>('a' + chance.below(26));
      std::int32_t const stream = peer.request("POST", std::string("/") + one.how, {}, true);
      peer.send_body(stream, one.body);
      peer.end_body(stream);
      open.emplace(stream, std::move(one));
    }
    if (chance.once_in(10)) {
      auto& [stream, one] = *open.begin();
      if (!std::exchange(one.reset, true)) peer.reset(stream);
    }
    for (std::string out = peer.output(); !out.empty(); out = peer.output()) {
      if (!socket.send(out)) return wrong + 1'000;
    }
    for (auto each = open.begin(); each != open.end();) {
      auto const& [stream, one] = *each;
      http2_test::stream const& seen = peer.at(stream);
      if (!seen.closed) {
        ++each;
        continue;
      }
      if (!is_right(one, seen)) {
        ++wrong;
        MESSAGE("stream " << stream << " of connection " << seed << ", " << std::string(1, one.how) << ", " << one.body.size()
                          << " bytes: status " << seen.status << ", " << seen.body.size() << " bytes, error " << seen.error);
      }
      each = open.erase(each);
    }
    if (open.empty() && begun == requests) return wrong;
    if (open.empty()) continue;
    std::string const got = socket.read_some(100'000);
    if (got.empty() || !peer.input(got)) return wrong + 10'000;
  }
}

void stress_http2(server::options const& settings) {
  desk requests;
  running_http_server http(requests, settings);
  std::atomic<int> wrong{0};
  {
    serving_threads const workers(requests, 4, serve);
    std::vector<std::thread> clients;
    for (std::uint32_t i = 0; i < 6; ++i) {
      clients.emplace_back([&, i] { wrong += converse(http.port(), i + 1, static_cast<int>(stress::scaled(400))); });
    }
    for (std::thread& each : clients) each.join();
  }
  CHECK(wrong.load() == 0);
  await([&] { return http.get().connections() == 0; });
}

}  // namespace

TEST_CASE("every stream gets its own answer, with bodies that are collected") { stress_http2(patient_settings(2)); }

TEST_CASE("every stream gets its own answer, with bodies that are read as they arrive") { stress_http2(streaming_settings(2)); }
