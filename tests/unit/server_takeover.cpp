// SPDX-License-Identifier: MIT
//
// Connections that an application takes over: with their own socket, and with a relay between them and a pair of sockets.

#include "net/takeover.hpp"

#include "net/http_server.hpp"

#include "../support/application_socket.hpp"
#include "../support/await.hpp"
#include "../support/http_server_test.hpp"
#include "../support/memory_transport.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using memory_test::memory_link;
using simulation_test::application_socket;
using server::exchange;

namespace {

std::string const asking = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: any\r\n\r\n";
std::string const plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

// A server with one connection in memory; its first request is taken over. One thread does everything.
class bench final : public server::request_handler {
public:
  explicit bench(std::uint32_t seed, memory_test::faults faults = {}, std::size_t room = 100'000)
      : chance(seed), http_({}, *this), link(std::make_shared<memory_link>(context(), chance, faults, room, room)) {
    REQUIRE(http_.admit());
    http_.connected(link->make_transport(), {"192.0.2.1", "1"}, here_, link->make_readiness());
  }
  ~bench() {
    application.reset();
    http_.close_connections();
    while (io()) {}
    CHECK(http_.connections() == 0);
    CHECK(http_.live() == 0);
  }
  bool io() {
    bool const did = context().poll_one() != 0;
    context().restart();
    return did;
  }
  void run() {
    while (io()) {}
  }
  [[nodiscard]] server::http_server& http() { return http_; }

  stress::dice chance;
  std::unique_ptr<application_socket> application;

private:
  asio::io_context& context() { return http_.first_thread().context(); }
  void handle(exchange::reply&& reply) noexcept override {
    application = std::make_unique<application_socket>(server::take_over_connection(reply));
  }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}

  server::endpoint const here_{"127.0.0.1", "1"};
  server::http_server http_;

public:
  std::shared_ptr<memory_link> link;
};

std::string random_bytes(stress::dice& chance, std::size_t most) {
  std::string made(chance.below(static_cast<std::uint32_t>(most)), '\0');
  for (char& each : made) each = static_cast<char>(chance.below(256));
  return made;
}

// Moves `to_server` and `to_client` through the relay, each side ending its direction after its last byte; `closes`: the
// application closes its socket when it has everything.
void exchange_bytes(std::uint32_t seed, bool closes) {
  stress::dice chance(seed);
  memory_test::faults faults;
  faults.part = chance.below(3);
  faults.blocked = 2 * chance.below(3);
  faults.crossed = 4 * chance.below(2);
  faults.ahead = 3 * chance.below(2);
  std::string const to_server = random_bytes(chance, 300'000);
  std::string const to_client = random_bytes(chance, 300'000);
  std::string const wire = asking + to_server;
  bench one(seed, faults, 100 + chance.below(100'000));
  std::size_t sent = 0;
  std::size_t answered = 0;
  std::string at_server;
  std::string at_client;
  bool ended = false;
  bool application_ended = false;
  // Until the connection is closed: a client that sees the end closes its side, too.
  for (int step = 0; !one.link->closed(); ++step) {
    REQUIRE(step < 2'000'000);
    switch (one.chance.below(4)) {
      case 0: one.io(); break;
      case 1:
        sent += one.link->send(std::string_view(wire).substr(sent, 1 + one.chance.below(10'000)));
        if (sent == wire.size() && !std::exchange(ended, true)) one.link->end();
        break;
      case 2: at_client += one.link->receive(1 + one.chance.below(10'000)); break;
      default:
        if (!one.application || one.application->descriptor() < 0) break;
        at_server += one.application->receive(1 + one.chance.below(10'000));
        answered += one.application->send(std::string_view(to_client).substr(answered, 1 + one.chance.below(10'000)));
        if (answered != to_client.size()) break;
        if (!closes && !std::exchange(application_ended, true)) one.application->end();
        if (one.application->ended) one.application->close();
    }
  }
  at_client += one.link->receive(SIZE_MAX);
  while (one.application->descriptor() >= 0 && !one.application->ended) at_server += one.application->receive(10'000);
  CHECK((at_server == to_server));
  CHECK((at_client == to_client));
  REQUIRE(!one.link->lost());
}

}  // namespace

TEST_CASE("a relay moves all bytes both ways, whatever the transport does, and both ends") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    exchange_bytes(seed, seed % 2 == 0);
  }
}

TEST_CASE("a relay keeps a bounded number of bytes for a side that does not read") {
  bench one(1, {}, 10'000'000);
  one.link->send(asking);
  one.run();
  REQUIRE(one.application);
  // The client's: some are in the relay, some in the kernel.
  std::string const much(5'000'000, 'x');
  REQUIRE(one.link->send(much) == much.size());
  one.run();
  std::size_t const left = one.link->send(std::string(10'000'000, 'x'));
  CHECK(left < 7'000'000);
  CHECK(left >= 5'000'000);
  std::string got;
  do {
    one.run();
    got = one.application->receive(100'000);
  } while (!got.empty());
  // The application's: the link takes all of it, so nothing stops there.
  bench other(1, {}, 1000);
  other.link->send(asking);
  other.run();
  std::size_t taken = 0;
  for (std::size_t some; (some = other.application->send(std::string(10'000, 'y'))) != 0; other.run()) taken += some;
  CHECK(taken < 2'000'000);
}

TEST_CASE("an application that closes its socket ends the connection, and one that ends its direction can read on") {
  bench one(1);
  one.link->send(asking);
  one.run();
  one.application->send("last words");
  one.application->close();
  one.run();
  CHECK(one.link->receive(100) == "last words");
  CHECK(one.link->sees_end());
  CHECK(one.http().live() == 0);

  bench quick(1);
  quick.link->send(asking + "not read");
  while (!quick.application) quick.io();
  quick.application->send("all");
  quick.application->close();
  quick.run();
  CHECK(quick.link->receive(100) == "all");
  CHECK(quick.link->sees_end());

  bench other(1);
  other.link->send(asking);
  other.run();
  other.application->end();
  other.run();
  CHECK(other.link->sees_end());
  other.link->send("still read");
  other.run();
  CHECK(other.application->receive(100) == "still read");
  CHECK(other.http().live() == 1);
  SUBCASE("until the client ends, too") { other.link->end(); }
  SUBCASE("until the client ends, too, and what it sends before is read, also by a thread that is late") {
    other.link->send("late");
    other.http().first_thread().deadlines().run(server::clock::now() + server::options().connection.keep_alive_timeout);
    other.run();
    CHECK(other.application->receive(100) == "late");
    CHECK(other.http().live() == 1);
    other.link->end();
  }
  SUBCASE("until the client is silent for too long") {
    other.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(1));
  }
  other.run();
  CHECK(other.link->closed());
  CHECK(other.application->receive(100).empty());
  CHECK(other.application->ended);
}

TEST_CASE("a relay ends with a client that has left, and tells its application that the server stops") {
  bench one(1);
  one.link->send(asking + "abc");
  one.run();
  SUBCASE("reset") { one.link->reset(); }
  SUBCASE("drain") { one.http().begin_drain(); }
  SUBCASE("close") { one.http().close_connections(); }
  one.run();
  CHECK(one.application->receive(3) == "abc");
  CHECK(one.application->receive(100).empty());
  CHECK(one.application->ended);
}

TEST_CASE("a relay ends with its application when the server stops, whatever the client does") {
  bench one(1);
  one.link->send(asking);
  one.run();
  one.application->send("bye");
  SUBCASE("the application ends its direction after the stop") {
    one.http().begin_drain();
    one.run();
    one.application->end();
  }
  SUBCASE("the application has ended its direction before") {
    one.application->end();
    one.run();
    CHECK(one.http().live() == 1);
    one.http().begin_drain();
  }
  one.run();
  CHECK(one.link->receive(100) == "bye");
  CHECK(one.link->sees_end());
  CHECK(one.http().live() == 0);
  one.link->end();
  one.run();
  CHECK(one.link->closed());
}

TEST_CASE("no silence ends a relay while both sides are open") {
  bench one(1);
  one.link->send(asking);
  one.run();
  one.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(1000));
  one.run();
  CHECK(!one.link->closed());
}

TEST_CASE("the application gets the connection's own socket if nothing has been read behind the request") {
  for (bool const behind : {false, true}) {
    CAPTURE(behind);
    desk requests;
    running_http_server http(requests);
    client asked(http.port());
    REQUIRE(asked.send(asking + (behind ? "more" : "")));
    exchange::reply request = requests.next();
    application_socket application(server::take_over_connection(request));
    CHECK(application.is_unix() == behind);
    int const flags = ::fcntl(application.descriptor(), F_GETFD);
    CHECK((flags & FD_CLOEXEC) != 0);
    CHECK_THROWS_AS(static_cast<void>(server::take_over_connection(request)), std::system_error);
    request = {};
    if (behind) {
      await([&] { return application.receive(4) == "more"; });
    } else {
      await([&] { return http.get().connections() == 0; });
    }
    REQUIRE(asked.send("ping\n"));
    std::string got;
    await([&] { return (got += application.receive(10)) == "ping\n"; });
    CHECK(application.send("pong\n") == 5);
    CHECK(asked.read_through("\n") == "pong\n");
    http.get().begin_drain();
    if (behind) {
      await([&] { return application.receive(1).empty() && application.ended; });
    }
    CHECK(application.send("bye\n") == 4);
    CHECK(asked.read_through("\n") == "bye\n");
    application.close();
    CHECK(asked.read_through("\n").empty());
    await([&] { return http.get().live() == 0; });
  }
}

TEST_CASE("a connection whose request may be followed by another, or waits for its body, is not given away") {
  desk requests;
  running_http_server http(requests, streaming_settings());
  client asked(http.port());
  REQUIRE(asked.send(plain));
  application_socket const relayed(server::take_over_connection(requests.next()));
  CHECK(relayed.is_unix());
  client other(http.port());
  REQUIRE(other.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"));
  exchange::reply const streamed = requests.next();
  CHECK_THROWS_AS(static_cast<void>(server::take_over_connection(streamed)), std::invalid_argument);
  answer(streamed, "still possible");
  CHECK(other.read_response().body == "still possible");
}
