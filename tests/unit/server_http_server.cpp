// SPDX-License-Identifier: MIT
//
// The http_server without Ruby: responses that native workers stream.

#include "net/http_server.hpp"

#include "http/response_writer.hpp"

#include "../support/await.hpp"
#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;
using server::response_writer;

namespace {

constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

// Responds with a stream that `write` writes.
std::function<void(exchange::reply const&)> streamed(std::function<void(response_writer&)> write) {
  return [write = std::move(write)](exchange::reply const& each) {
    response_writer writer = begin_answer(each, std::nullopt);
    write(writer);
    static_cast<void>(writer.finish());
  };
}

// Notes how many connections there were when the last live one became quiet; gets no requests.
class counts_at_quiet final : public server::request_handler {
public:
  // To be set before the first client connects.
  server::http_server* http = nullptr;
  std::atomic<int> connections{-1};

private:
  void handle(exchange::reply&& reply) noexcept override { reply.expire(); }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override {
    connections = static_cast<int>(http->connections());
    connections.notify_one();
  }
};

}  // namespace

TEST_CASE("a small piece is sent although no other follows") {
  std::atomic<int> steps{0};
  desk requests;
  running_http_server http(requests);
  serving_threads const serving(requests, 1, streamed([&](response_writer& writer) {
    for (int i = 0; i < 3; ++i) {
      CHECK(writer.write("piece") != response_writer::result::gone);
      steps.wait(i);  // until the client has read it
    }
  }));
  client asking(http.port());
  REQUIRE(asking.send(request));
  for (int i = 0; i < 3; ++i) {
    CHECK(asking.read_through("piece\r\n").ends_with("5\r\npiece\r\n"));
    ++steps;
    steps.notify_one();
  }
  CHECK(asking.read_through("0\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("flush sends buffered pieces") {
  std::atomic<bool> read{false};
  desk requests;
  running_http_server http(requests);
  serving_threads const serving(requests, 1, streamed([&](response_writer& writer) {
    static_cast<void>(writer.write("piece"));
    static_cast<void>(writer.flush());
    read.wait(false);
  }));
  client asking(http.port());
  REQUIRE(asking.send(request));
  CHECK(asking.read_through("piece\r\n").ends_with("5\r\npiece\r\n"));
  read = true;
  read.notify_one();
  CHECK(asking.read_through("0\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("streams of several workers, connections and I/O threads arrive complete") {
  constexpr int pieces = 40;
  constexpr int clients = 4;
  constexpr int rounds = 100;
  std::string expected = "\r\n\r\n";
  for (int i = 0; i < pieces; ++i) expected += "4\r\n" + std::to_string(1000 + i) + "\r\n";
  expected += "0\r\n\r\n";
  desk requests;
  running_http_server http(requests, patient_settings(2));
  serving_threads const serving(requests, 3, streamed([](response_writer& writer) {
    for (int i = 0; i < pieces; ++i) {
      static_cast<void>(writer.write(std::to_string(1000 + i)));
      if (i % 16 == 5) std::this_thread::yield();
    }
  }));
  std::vector<std::thread> threads;
  std::atomic<int> complete{0};
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      client asking(http.port());
      for (int n = 0; n < rounds && asking.send(std::string(request) + std::string(request)); ++n) {  // pipelined
        complete += asking.read_through("0\r\n\r\n").ends_with(expected);
        complete += asking.read_through("0\r\n\r\n").ends_with(expected);
      }
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK(complete == 2 * clients * rounds);
}

TEST_CASE("a client that disconnects within a stream frees its worker") {
  std::atomic<bool> disconnected{false};
  std::atomic<int> gone{0};
  desk requests;
  running_http_server http(requests);
  serving_threads const serving(requests, 1, streamed([&](response_writer& writer) {
    disconnected.wait(false);
    // The kernel may still accept the first writes.
    while (writer.write("piece") != response_writer::result::gone) std::this_thread::yield();
    ++gone;
  }));
  {
    client asking(http.port());
    REQUIRE(asking.send(request));
  }
  disconnected = true;
  disconnected.notify_one();
  await([&] { return gone == 1; });
}

TEST_CASE("a server without connections has no live ones: a connection that closes is counted until it is not live") {
  counts_at_quiet counts;
  running_http_server http(counts);
  counts.http = &http.get();
  client(http.port()).close();
  counts.connections.wait(-1);
  CHECK(counts.connections.load() == 1);
}

#ifdef __linux__  // Other systems have no second loopback address for IPv4.
TEST_CASE("if another program has the port that the system chose for two addresses, the system chooses again") {
  desk requests;
  server::options others = patient_settings();
  others.binds.assign(400, {"127.0.0.2", 0, {}});
  server::http_server other_program(others, requests);
  other_program.listen();
  server::options both = patient_settings();
  both.binds = {{"127.0.0.1", 0, {}}, {"127.0.0.2", 0, {}}};
  both.binds.back().same_port = true;
  for (int i = 0; i < 500; ++i) {  // Linux has 14,000 ports to choose from first, so some of these find one that is taken.
    server::http_server http(both, requests);
    http.listen();
    auto const found = http.addresses();
    REQUIRE(found.size() == 2);
    CHECK(found[0].port == found[1].port);
  }
}
#endif
