// SPDX-License-Identifier: MIT
//
// Workers that do not respond in time, without Ruby, sockets or threads.

#include "admission/response_deadline.hpp"

#include "../support/http_server_test.hpp"
#include "../support/memory_transport.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace server = kino::server;
using namespace http_server_test;
using memory_test::memory_link;
using server::exchange;
using std::chrono::minutes;

namespace {

// A server whose workers and I/O thread are the test, and whose time is, too.
class timed_desk final : public server::request_handler {
public:
  explicit timed_desk(server::clock::duration timeout, server::options const& settings = patient_settings())
      : http_(settings, *this), limit_(std::make_unique<server::response_deadline>(http_.first_thread(), timeout, 4)) {}
  ~timed_desk() {
    requests_.clear();
    limit_->close();
    http_.close_connections();
    io();
  }

  // A client that has sent this.
  [[nodiscard]] std::shared_ptr<memory_link> client_with(std::string_view bytes) {
    auto made = std::make_shared<memory_link>(http_.first_thread().context(), chance_, memory_test::faults{}, 100'000, 100'000);
    REQUIRE(http_.admit());
    http_.connected(made->make_transport(), {"192.0.2.1", "1"}, here_, made->make_readiness());
    static_cast<void>(made->send(bytes));
    io();
    return made;
  }
  // The next request, begun by this worker.
  [[nodiscard]] exchange::reply take(std::size_t worker) {
    REQUIRE(!requests_.empty());
    exchange::reply taken = std::move(requests_.front());
    requests_.pop_front();
    REQUIRE(exchange::of(taken).begin());
    limit_->watch(worker, exchange::of(taken));
    io();
    return taken;
  }
  void finish(std::size_t worker) { limit_->forget(worker); }
  // Less than an hour, the patience of the connection itself.
  void pass(server::clock::duration later) {
    http_.first_thread().deadlines().run(server::clock::now() + later);
    io();
  }
  [[nodiscard]] std::string answer_of(memory_link& client) {
    io();
    return client.receive(SIZE_MAX);
  }

  int late = 0;

private:
  void io() {
    while (http_.first_thread().context().poll_one() != 0) {}
    http_.first_thread().context().restart();
  }
  void handle(exchange::reply&& reply) noexcept override { requests_.push_back(std::move(reply)); }
  int status_for(kino::ending how, exchange& unanswered) noexcept override {
    bool const timed_out = how == kino::ending::expired && unanswered.taken();
    late += timed_out;
    return timed_out ? 504 : 500;
  }

  stress::dice chance_{1};
  server::endpoint const here_{"127.0.0.1", "80"};
  server::http_server http_;
  std::unique_ptr<server::response_deadline> limit_;
  std::deque<exchange::reply> requests_;
};

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace

TEST_CASE("a worker that is late loses its response") {
  timed_desk here(minutes(10));
  auto const asking = here.client_with(get);
  exchange::reply const reply = here.take(0);
  here.pass(minutes(9));
  CHECK(here.answer_of(*asking) == "");
  here.pass(minutes(20));
  CHECK(here.answer_of(*asking).starts_with("HTTP/1.1 504 "));
  CHECK(here.late == 1);
  CHECK(reply.ended());
  server::response_head& head = exchange::of(reply).response();
  REQUIRE(head.start(200) == server::response_head::problem::none);
  CHECK(!reply.answer({&head, {}, true}));
  here.pass(minutes(40));
  CHECK(here.late == 1);
}

TEST_CASE("a response that has begun is never late, nor is one that is complete") {
  timed_desk here(minutes(10));
  auto const slow = here.client_with(get);
  auto const quick = here.client_with(get);
  auto const stuck = here.client_with(get);
  exchange::reply const streamed = here.take(0);
  server::response_writer writer = begin_answer(streamed, 5);
  static_cast<void>(writer.write("he"));
  static_cast<void>(writer.flush());
  answer(here.take(1), "quick");
  exchange::reply const late = here.take(2);
  here.pass(minutes(20));
  CHECK(here.late == 1);
  CHECK(here.answer_of(*stuck).starts_with("HTTP/1.1 504 "));
  CHECK(here.answer_of(*quick).ends_with("quick"));
  static_cast<void>(writer.write("llo"));
  static_cast<void>(writer.finish());
  CHECK(here.answer_of(*slow).ends_with("hello"));
}

TEST_CASE("each request of a worker has its own time") {
  timed_desk here(minutes(10));
  auto const first = here.client_with(get);
  answer(here.take(0), "first");
  here.finish(0);
  here.pass(minutes(5));
  auto const second = here.client_with(get);
  exchange::reply const reply = here.take(0);
  here.pass(minutes(9));
  CHECK(here.late == 0);
  here.pass(minutes(20));
  CHECK(here.late == 1);
  CHECK(here.answer_of(*second).starts_with("HTTP/1.1 504 "));
}

TEST_CASE("a worker may extend its time until it is late") {
  timed_desk here(minutes(10));
  auto const patient = here.client_with(get);
  auto const other = here.client_with(get);
  exchange::reply const extended = here.take(0);
  exchange::reply const late = here.take(1);
  CHECK(exchange::of(extended).due().extend(server::clock::now() + minutes(30)));
  CHECK(exchange::of(extended).due().extend(server::clock::now() + minutes(1)));
  here.pass(minutes(20));
  CHECK(here.late == 1);
  CHECK(here.answer_of(*other).starts_with("HTTP/1.1 504 "));
  CHECK(!exchange::of(late).due().extend(server::clock::now() + minutes(30)));
  CHECK(exchange::of(late).cancelling().cancelled());
  CHECK(!exchange::of(extended).cancelling().settled());
  here.pass(minutes(40));
  CHECK(here.late == 2);
  CHECK(here.answer_of(*patient).starts_with("HTTP/1.1 504 "));
}

TEST_CASE("a request that is extended does not extend those that are taken later") {
  timed_desk here(minutes(10));
  auto const patient = here.client_with(get);
  exchange::reply const extended = here.take(0);
  CHECK(exchange::of(extended).due().extend(server::clock::now() + minutes(50)));
  here.pass(minutes(11));
  auto const other = here.client_with(get);
  exchange::reply const late = here.take(1);
  here.pass(minutes(22));
  CHECK(here.late == 1);
  CHECK(here.answer_of(*other).starts_with("HTTP/1.1 504 "));
}

TEST_CASE("a request whose client resets the connection is cancelled, and one that is answered is not") {
  timed_desk here({});
  auto const answered = here.client_with(get);
  exchange::reply const done = here.take(0);
  answer(done, "done");
  CHECK(here.answer_of(*answered).ends_with("done"));
  CHECK(!exchange::of(done).cancelling().settled());
  auto const leaving = here.client_with(get);
  exchange::reply const lost = here.take(1);
  leaving->reset();
  here.pass(minutes(1));
  CHECK(exchange::of(lost).cancelling().cancelled());
}

TEST_CASE("without a timeout, a worker may take any time") {
  timed_desk here({});
  auto const asking = here.client_with(get);
  exchange::reply const reply = here.take(0);
  here.pass(minutes(50));
  answer(reply, "in time");
  CHECK(here.answer_of(*asking).ends_with("in time"));
}

TEST_CASE("a worker that reads the body of a request that is late sees that it is incomplete") {
  timed_desk here(minutes(10), streaming_settings());
  auto const asking = here.client_with("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  exchange::reply const reply = here.take(0);
  char bytes[10];
  CHECK(exchange::of(reply).read(bytes, sizeof bytes).length == 4);
  here.pass(minutes(20));
  CHECK(here.answer_of(*asking).starts_with("HTTP/1.1 504 "));
  auto const got = exchange::of(reply).read(bytes, sizeof bytes);
  CHECK(got.what == server::body_pipe::state::broken);
  CHECK(got.why.status == 504);
}
