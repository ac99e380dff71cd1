// SPDX-License-Identifier: MIT
//
// The end of connections whose client is waited for, without sockets or threads: the test is the I/O thread, which may be late.

#include "net/connection.hpp"

#include "../support/http_server_test.hpp"
#include "../support/memory_transport.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace server = kino::server;
using namespace http_server_test;
using memory_test::memory_link;

namespace {

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

// A server that answers each request at once, with one client.
class late_server final : public server::request_handler {
public:
  late_server() {
    REQUIRE(http.admit());
    http.connected(link->make_transport(), {"192.0.2.1", "1"}, here_, link->make_readiness());
    io();
    tick();  // The connection's first deadline now is before that of any request.
  }
  ~late_server() {
    http.close_connections();
    io();
  }

  void io() {
    while (http.first_thread().context().poll_one() != 0) {}
    http.first_thread().context().restart();
  }
  // Runs the next deadline, and what is due within `more`, before the I/O thread polls its sockets, so it has not been told what
  // has arrived.
  void reach_deadline(server::clock::duration more = {}) {
    tick();  // What begins now has a later deadline.
    http.first_thread().deadlines().run(http.first_thread().deadlines().next() + more);
  }
  [[nodiscard]] std::string answers() {
    io();
    return link->receive(SIZE_MAX);
  }

private:
  // Waits until the coarse clock, by which the deadlines of idle connections are set, has passed the present.
  static void tick() {
    for (auto const now = server::clock::now(); server::coarse_now() <= now;) {}
  }
  void handle(server::exchange::reply&& reply) noexcept override { answer(reply, "served"); }

  stress::dice chance_{1};
  server::endpoint const here_{"127.0.0.1", "80"};

public:
  server::http_server http{patient_settings(), *this};
  std::shared_ptr<memory_link> const link =
      std::make_shared<memory_link>(http.first_thread().context(), chance_, memory_test::faults{}, 1000, 1000);
};

}  // namespace

TEST_CASE("a request that has arrived when the time of an idle connection ends is answered") {
  late_server late;
  SUBCASE("in a server that drains") {
    bool first = true;
    SUBCASE("the first one") {}
    SUBCASE("a further one") { first = false; }
    if (!first) {
      static_cast<void>(late.link->send(get));
      CHECK(late.answers().ends_with("served"));
    }
    late.http.begin_drain();
    late.io();
    static_cast<void>(late.link->send(get));
    late.reach_deadline();
    CHECK(late.answers().ends_with("served"));
    CHECK(late.link->sees_end());
  }
  SUBCASE("after keep_alive_timeout") {
    static_cast<void>(late.link->send(get));
    CHECK(late.answers().ends_with("served"));
    late.reach_deadline();  // that of a connection without a request
    static_cast<void>(late.link->send(get));
    late.reach_deadline();
    CHECK(late.answers().ends_with("served"));
    CHECK(!late.link->sees_end());
    late.reach_deadline(std::chrono::minutes(10));  // from the beginning or the end of the last request
    CHECK(late.link->sees_end());
  }
  SUBCASE("the beginning of one, which has its own time") {
    static_cast<void>(late.link->send(get.substr(0, 10)));
    late.reach_deadline();
    CHECK(late.answers().empty());
    static_cast<void>(late.link->send(get.substr(10)));
    CHECK(late.answers().ends_with("served"));
  }
  SUBCASE("the rest of one") {
    static constexpr std::string_view post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
    std::size_t there = 0;
    SUBCASE("whose header had not all arrived") { there = 10; }
    SUBCASE("whose body had not") { there = post.size() - 2; }
    static_cast<void>(late.link->send(post.substr(0, there)));
    CHECK(late.answers().empty());
    late.reach_deadline();  // that of a connection without a request
    static_cast<void>(late.link->send(post.substr(there)));
    late.reach_deadline();
    CHECK(late.answers().ends_with("served"));
    CHECK(!late.link->sees_end());
  }
  SUBCASE("and what has arrived after the last request is not left unread: the client would lose the response") {
    static_cast<void>(late.link->send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    late.io();
    static_cast<void>(late.link->send(std::string(900, 'x')));
    late.reach_deadline();
    CHECK(late.link->closed());
    CHECK(!late.link->lost());
    CHECK(late.answers().ends_with("served"));
  }
  SUBCASE("the end of the client") {
    late.link->end();
    late.reach_deadline();
    CHECK(late.answers().empty());
    CHECK(late.link->closed());
  }
}
