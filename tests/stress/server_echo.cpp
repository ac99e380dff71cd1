// SPDX-License-Identifier: MIT
//
// Echoes bodies of 0 to 300 KB, with a length or chunked, collected or streamed, in 1 to 16 pipelined requests, sent in
// fragments of any size. Every byte is compared.
//
// KINO_ECHOES=1000000 is the long run. KINO_ECHO_PORT=9292 uses a running server, such as
//     kino -p 9292 --stream-body /stream tests/server/support/echo.ru

#include "http/body_reader.hpp"

#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

constexpr std::uint32_t largest = 300'000;
constexpr std::uint32_t clients = 6;

std::uint32_t setting(char const* name, std::uint32_t otherwise) {
  char const* const given = std::getenv(name);
  return given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : otherwise;
}

// Reads like a worker, with the same read_body, and waits with the body's own parker.
class body_of {
public:
  explicit body_of(exchange& from) : from_(from) {}
  server::body_pipe::taken take(char* out, std::size_t room) { return from_.read(out, room); }
  void await() {
    while (from_.body().await()) static_cast<void>(from_.body().arrivals().park(std::nullopt));
  }
  [[noreturn]] void broken(server::rejection const& why) { throw std::runtime_error(why.reason); }

private:
  exchange& from_;
};

struct growing {
  std::string bytes;
  std::size_t got = 0;
  void reserve(std::size_t total) { bytes.resize(std::max(bytes.size(), total)); }
  char* at(std::size_t position) { return bytes.data() + position; }
  void commit(std::size_t total) { got = total; }
};

void echo(exchange::reply const& reply, stress::dice& dice) {
  body_of from(exchange::of(reply));
  std::string all;
  for (;;) {
    growing into;
    std::size_t const most = dice.once_in(2) ? SIZE_MAX : 1 + dice.below(100'000);
    std::size_t const got = server::read_body(from, most, dice.below(70'000), into);
    all.append(into.bytes, 0, got);
    if (got < most) break;
  }
  answer(reply, all);
}

// Every order of magnitude is equally likely, sizes near those of buffers more so.
std::string some_body(stress::dice& dice) {
  std::uint32_t length = dice.below(1u << (1 + dice.below(18)));
  if (dice.once_in(4)) length = (16u << (10 + dice.below(4))) + dice.below(3) - 1;
  std::string body(std::min(length, largest), '\0');
  std::uint32_t const start = dice.below(1 << 20);
  for (std::size_t i = 0; i < body.size(); ++i) {
    body[i] = static_cast<char>((start + i) * 2654435761u >> 13);
  }
  return body;
}

void append_request(std::string& script, std::string const& body, stress::dice& dice) {
  script += dice.once_in(2) ? "POST /stream" : "POST /collect";
  script += " HTTP/1.1\r\nHost: x\r\n";
  if (dice.once_in(2)) {
    script += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    return;
  }
  script += "Transfer-Encoding: chunked\r\n\r\n";
  std::uint32_t const most = 1u << dice.below(18);
  for (std::size_t at = 0; at < body.size();) {
    std::size_t const length = std::min<std::size_t>(body.size() - at, 1 + dice.below(most));
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", length);
    script += size + body.substr(at, length) + "\r\n";
    at += length;
  }
  script += "0\r\n\r\n";
}

void send_in_fragments(client& to, std::string_view script, stress::dice& dice) {
  std::uint32_t const most = 1u << (6 + dice.below(13));
  while (!script.empty()) {
    std::size_t const length = std::min<std::size_t>(script.size(), 1 + dice.below(most));
    if (!to.send(script.substr(0, length))) return;
    script.remove_prefix(length);
    if (dice.once_in(8)) std::this_thread::yield();
  }
}

}  // namespace

TEST_CASE("every echo equals its request body") {
  std::uint32_t const total = setting("KINO_ECHOES", stress::scaled(3000));
  std::uint32_t const port = setting("KINO_ECHO_PORT", 0);
  desk requests;
  server::options settings = patient_settings(2);
  settings.stream_body = {"/stream"};
  settings.connection.max_keep_alive = SIZE_MAX;
  running_http_server http(requests, settings);

  std::vector<std::thread> workers;
  for (std::uint32_t i = 0; i < 3; ++i) {
    workers.emplace_back([&requests, i] {
      stress::dice dice(1000 + i);
      while (exchange::reply const each = requests.next()) echo(each, dice);
    });
  }
  std::atomic<std::uint32_t> begun{0};
  std::atomic<std::uint32_t> exact{0};
  std::atomic<std::uint32_t> wrong{0};
  std::vector<std::thread> senders;
  for (std::uint32_t seed = 0; seed < clients; ++seed) {
    senders.emplace_back([&, seed] {
      stress::dice dice(seed + 1);
      client asking(port ? static_cast<std::uint16_t>(port) : http.port());
      while (wrong == 0) {
        std::uint32_t const pipelined = 1 + dice.below(16);
        if (begun.fetch_add(pipelined) >= total) return;
        std::string script;
        std::vector<std::string> bodies;
        for (std::uint32_t i = 0; i < pipelined; ++i) {
          bodies.push_back(some_body(dice));
          append_request(script, bodies.back(), dice);
        }
        std::thread sender([&] { send_in_fragments(asking, script, dice); });
        for (std::string const& body : bodies) {
          response const got = asking.read_response();
          ++(got.status == 200 && got.body == body ? exact : wrong);
        }
        sender.join();
      }
    });
  }
  for (std::thread& each : senders) each.join();
  requests.close();
  for (std::thread& each : workers) each.join();
  CHECK(wrong == 0);
  CHECK(exact >= total);
  std::printf("%u exact echoes\n", exact.load());
}
