// SPDX-License-Identifier: MIT
//
// Request bodies on their way through a connection: where and for how long they wait, and what remains
// of them.

#include "net/connection.hpp"
#include "net/io_thread.hpp"

#include "../support/await.hpp"
#include "../support/broken_disk.hpp"
#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;

namespace {

constexpr std::size_t memory = 4096;

std::string head(std::size_t length, std::string_view more = "") {
  return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(length) + "\r\n" +
         std::string(more) + "\r\n";
}

std::string post(std::string const& body) { return head(body.size()) + body; }

// An HTTP server whose bodies beyond `memory` go to a disk that can be broken.
struct place {
  std::shared_ptr<broken_disk> disk = std::make_shared<broken_disk>();
  server::options settings = patient_settings();
  desk requests;
  place() {
    settings.files = disk;
    settings.connection.body_buffer = memory;
  }
};

// How many parts of the disk are lent to bodies.
std::size_t lent(running_http_server& http) { return http.get().first_thread().shared().exchanges.spool().lent(); }

// One request that is answered says that the I/O thread has seen what was sent before.
void pass_by(running_http_server& http, desk& requests) {
  client other(http.port());
  REQUIRE(other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  answer(requests.next(), "");
  REQUIRE(other.read_response().status == 200);
}

// Reads a streamed body to its end.
server::body_pipe::taken end_of(exchange& from) {
  char byte = 0;
  for (;;) {
    while (from.body().await()) static_cast<void>(from.body().arrivals().park(std::nullopt));
    server::body_pipe::taken const got = from.read(&byte, 1);
    if (got.what != server::body_pipe::state::open) return got;
  }
}

}  // namespace

TEST_CASE("a body reaches the handler whole, and its place on the disk ends with its request") {
  place at;
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  std::string const body(300'000, 'b');
  std::thread sender([&] { CHECK(asking.send(post(body))); });
  exchange::reply each = at.requests.next();
  CHECK_FALSE(exchange::of(each).streamed());
  CHECK(exchange::of(each).collected().size() == body.size());
  CHECK(lent(http) == 1);
  CHECK(read_body(exchange::of(each)) == body);
  answer(each, "done");
  each = {};
  sender.join();
  CHECK(asking.read_response().body == "done");
  await([&] { return lent(http) == 0; });
}

TEST_CASE("a request is handed over when its body is complete and not before") {
  place at;
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  std::string const body(50'000, 'b');
  REQUIRE(asking.send(head(body.size() + 1) + body));
  pass_by(http, at.requests);
  CHECK(at.requests.handed_over() == 1);  // the other one
  REQUIRE(asking.send("b"));
  answer(at.requests.next(), "done");
  CHECK(asking.read_response().body == "done");
}

TEST_CASE("a streamed request is handed over before its body") {
  place at;
  at.settings.stream_body = {"application/grpc"};
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  REQUIRE(asking.send(head(3, "Content-Type: application/grpc\r\n")));
  exchange::reply const each = at.requests.next();
  CHECK(exchange::of(each).streamed());
  REQUIRE(asking.send("abc"));
  CHECK(read_body(exchange::of(each)) == "abc");
  answer(each, "done");
  CHECK(asking.read_response().body == "done");
}

TEST_CASE("a disk that fails is answered, and costs only the request that needed it") {
  struct failure {
    int open_error;
    int write_error;
    int status;
  };
  for (bool chunked : {false, true}) {
    for (failure const& how : {failure{0, ENOSPC, 507}, failure{0, EDQUOT, 507}, failure{0, EIO, 507},
                               failure{EMFILE, 0, 503}, failure{EACCES, 0, 507}}) {
      CAPTURE(how.status);
      CAPTURE(chunked);
      place at;
      running_http_server http(at.requests, at.settings);
      at.disk->open_error = how.open_error;
      at.disk->write_error = how.write_error;
      client asking(http.port());
      std::string const body(3 * memory, 'b');
      std::string const all = chunked ? "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                        "3000\r\n" + body + "\r\n0\r\n\r\n"
                                      : post(body);
      REQUIRE(asking.send(all));
      CHECK(asking.read_response().status == how.status);
      CHECK(asking.ended());
      CHECK(at.requests.handed_over() == 0);
      CHECK(at.requests.refusals() == 1);
      await([&] { return lent(http) == 0; });
      client next(http.port());
      std::string const small(memory, 's');
      REQUIRE(next.send(post(small)));
      exchange::reply const each = at.requests.next();
      CHECK(read_body(exchange::of(each)) == small);
      answer(each, "done");
      CHECK(next.read_response().body == "done");
    }
  }
}

TEST_CASE("a client that leaves in a body leaves nothing on the disk") {
  place at;
  running_http_server http(at.requests, at.settings);
  client ending(http.port());
  client vanishing(http.port());
  for (client* each : {&ending, &vanishing}) REQUIRE(each->send(head(100'000) + std::string(50'000, 'b')));
  await([&] { return lent(http) == 2; });
  ending.half_close();
  vanishing.reset();
  await([&] { return lent(http) == 0; });
  CHECK(at.requests.handed_over() == 0);
}

TEST_CASE("a connection ends when the server drains, although its response came before the end of the body") {
  place at;
  at.settings.stream_body = {"/"};
  running_http_server http(at.requests, at.settings);
  client early(http.port());
  REQUIRE(early.send(head(100) + "beginning"));
  answer(at.requests.next(), "enough");
  REQUIRE(early.read_response().status == 200);
  client idle(http.port());
  REQUIRE(idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  answer(at.requests.next(), "");
  REQUIRE(idle.read_response().status == 200);
  http.get().begin_drain();
  CHECK(idle.ended());  // The I/O thread has seen it.
  REQUIRE(early.send(std::string(100 - 9, 'b')));
  CHECK(early.ended());
}

TEST_CASE("a connection has one body at a time, however many were pipelined") {
  place at;
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  std::string const body(10 * memory, 'b');
  std::string all;
  for (int i = 0; i < 8; ++i) all += post(body);
  std::thread sender([&] { CHECK(asking.send(all)); });
  for (int i = 0; i < 8; ++i) {
    exchange::reply each = at.requests.next();
    pass_by(http, at.requests);
    CHECK(lent(http) == 1);
    CHECK(read_body(exchange::of(each)) == body);
    answer(each, "done");
    each = {};
    CHECK(asking.read_response().body == "done");
  }
  sender.join();
  CHECK(at.disk->opened == 1);
}

TEST_CASE("small pieces are written together") {
  place at;
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  std::string all = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  constexpr std::size_t length = 5 * memory;
  for (std::size_t i = 0; i < length; ++i) all += "1\r\nb\r\n";
  std::thread sender([&] { CHECK(asking.send(all + "0\r\n\r\n")); });
  exchange::reply const each = at.requests.next();
  sender.join();
  CHECK(read_body(exchange::of(each)).size() == length);
  CHECK(at.disk->writes <= length / memory);
}

TEST_CASE("trailers are there when the reader has seen the end of the body, and not before") {
  for (bool streamed : {false, true}) {
    CAPTURE(streamed);
    place at;
    if (streamed) at.settings.stream_body = {"/"};
    running_http_server http(at.requests, at.settings);
    client asking(http.port());
    for (int round = 0; round < 20; ++round) {
      std::thread sender([&] {
        CHECK(asking.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
        for (char const c : std::string_view("0\r\nX-Check: some value\r\nCookie: dropped\r\n\r\n")) CHECK(asking.send({&c, 1}));
      });
      exchange::reply const each = at.requests.next();
      exchange& from = exchange::of(each);
      server::field_section const* found = nullptr;
      for (std::string body;;) {
        char byte = 0;
        if (body.size() < 3) CHECK(from.received_trailers() == nullptr);
        while (streamed && from.body().await()) static_cast<void>(from.body().arrivals().park(std::nullopt));
        server::body_pipe::taken const got = from.read(&byte, 1);
        body.append(&byte, got.length);
        if ((found = from.received_trailers()) == nullptr) continue;
        CHECK(body == "abc");
        break;
      }
      REQUIRE(found->all().size() == 1);
      CHECK(found->name(found->all().front()) == "X-Check");
      CHECK(found->value(found->all().front()) == "some value");
      answer(each, "done");
      sender.join();
      CHECK(asking.read_response().body == "done");
    }
  }
}

TEST_CASE("a body below the minimum rate ends with 408 and is never handed over") {
  place at;
  at.settings.connection.min_body_rate = 1u << 30;
  at.settings.connection.rate_grace = std::chrono::milliseconds(50);
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  REQUIRE(asking.send(head(100'000) + "b"));
  CHECK(asking.read_response().status == 408);
  CHECK(asking.ended());
  CHECK(at.requests.handed_over() == 0);
}

TEST_CASE("a streamed body below the minimum rate breaks off with 408 for its reader") {
  place at;
  at.settings.stream_body = {"/"};
  at.settings.connection.min_body_rate = 1u << 30;
  at.settings.connection.rate_grace = std::chrono::milliseconds(50);
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  REQUIRE(asking.send(head(100'000) + "b"));
  exchange::reply const each = at.requests.next();
  server::body_pipe::taken const got = end_of(exchange::of(each));
  CHECK(got.what == server::body_pipe::state::broken);
  CHECK(got.why.status == 408);
}

TEST_CASE("a body that a busy worker leaves in its pipe is not the client's delay") {
  place at;
  at.settings.stream_body = {"/"};
  at.settings.connection.min_body_rate = 1u << 30;
  at.settings.connection.rate_grace = std::chrono::milliseconds(50);
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  std::string const body(2 * server::tuning::pipe_capacity, 'b');
  // The kernel takes it all, before the client's time begins.
  std::promise<void> sent;
  http.keep_busy(sent.get_future());
  REQUIRE(asking.send(post(body)));
  sent.set_value();
  exchange::reply const each = at.requests.next();
  // Longer than the grace: a client that is too slow meanwhile has been refused.
  client slow(http.port());
  REQUIRE(slow.send(head(100'000) + "b"));
  exchange::reply const slow_one = at.requests.next();
  CHECK(end_of(exchange::of(slow_one)).what == server::body_pipe::state::broken);
  CHECK(read_body(exchange::of(each)) == body);
  answer(each, "done");
  CHECK(asking.read_response().body == "done");
}

TEST_CASE("a client that reads too slowly is reset, and its writer hears of it") {
  place at;
  at.settings.connection.min_response_rate = 1u << 30;
  at.settings.connection.rate_grace = std::chrono::milliseconds(50);
  running_http_server http(at.requests, at.settings);
  client asking(http.port());
  REQUIRE(asking.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  exchange::reply const each = at.requests.next();
  exchange& to = exchange::of(each);
  std::string const piece(100'000, 'x');
  server::response_writer writer = begin_answer(each, std::nullopt);
  while (writer.write(piece) != server::response_writer::result::gone) {
    while (to.await_room()) static_cast<void>(to.departures().park(std::nullopt));
  }
  await([&] { return http.get().connections() == 0; });
}
