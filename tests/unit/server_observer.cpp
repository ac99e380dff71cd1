// SPDX-License-Identifier: MIT
//
// The observer of an http_server is notified once of each exchange, however it ends.

#include "http/observer.hpp"

#include "http/exchange.hpp"
#include "net/http_server.hpp"

#include "../support/await.hpp"
#include "../support/http_server_test.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using server::exchange;
using server::exchange_end;

namespace {

struct seen {
  std::string target;
  exchange_end how;
  int status;
  std::uint64_t request_bytes;
  std::uint64_t response_bytes;
  bool ready, taken, answered;
};

class recorder final : public server::observer {
public:
  std::vector<seen> all() const {
    std::lock_guard const guard(mutex_);
    return all_;
  }

private:
  void ended(server::exchange_report const& report) noexcept override {
    server::clock::time_point const none{};
    std::lock_guard const guard(mutex_);
    all_.push_back({std::string(report.subject.head().target()), report.how, report.status, report.request_bytes,
                    report.response_bytes, report.ready != none, report.taken != none, report.answered != none});
    // Times that were reached are in order.
    server::clock::time_point last = report.started;
    CHECK(last != none);
    for (auto const next : {report.ready, report.taken, report.answered, report.ended}) {
      if (next == none) continue;
      CHECK(last <= next);
      last = next;
    }
    CHECK(report.ended != none);
  }

  mutable std::mutex mutex_;
  std::vector<seen> all_;
};

// A server with a recorder, and a client of it.
struct place {
  explicit place(server::options chosen = patient_settings()) : settings(std::move(chosen)) {
    settings.observes = record;
    settings.connection.max_body_size = 100'000;
    http.emplace(requests, settings);
    REQUIRE(asking.connect(http->port()));
  }
  // Takes the next request like a worker.
  exchange::reply take() {
    exchange::reply next = requests.next();
    CHECK(exchange::of(next).begin());
    return next;
  }
  // Waits until `count` ends have been recorded, and for the end of the connection if `gone`.
  std::vector<seen> ends(std::size_t count, bool gone = false) {
    await([&] { return record->all().size() >= count && (!gone || http->get().connections() == 0); });
    return record->all();
  }

  std::shared_ptr<recorder> record = std::make_shared<recorder>();
  server::options settings;
  desk requests;
  std::optional<running_http_server> http;
  client asking;
};

std::string get(std::string const& target) { return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

}  // namespace

TEST_CASE("a complete response is reported with its status, the bytes of both bodies and all times") {
  place at;
  REQUIRE(at.asking.send("POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345"));
  answer(at.take(), "response");
  CHECK(at.asking.read_response().body == "response");
  auto const ends = at.ends(1);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].target == "/in");
  CHECK(ends[0].how == exchange_end::complete);
  CHECK(ends[0].status == 200);
  CHECK(ends[0].request_bytes == 5);
  CHECK(ends[0].response_bytes == 8);
  CHECK(ends[0].ready);
  CHECK(ends[0].taken);
  CHECK(ends[0].answered);
}

TEST_CASE("a streamed response is reported at its end, and one to HEAD without bytes") {
  place at(streaming_settings());
  REQUIRE(at.asking.send("POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  {
    exchange::reply const each = at.take();
    CHECK(read_body(exchange::of(each)) == "abcde");
    server::response_writer writer = begin_answer(each, std::nullopt);
    static_cast<void>(writer.write("one"));
    static_cast<void>(writer.flush());
    CHECK(at.asking.read_through("one\r\n").ends_with("one\r\n"));
    CHECK(at.record->all().empty());
    static_cast<void>(writer.write("two"));
    static_cast<void>(writer.finish());
  }
  CHECK(at.asking.read_through("0\r\n\r\n").ends_with("0\r\n\r\n"));
  REQUIRE(at.asking.send("HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n"));
  answer(at.take(), "response");
  auto const ends = at.ends(2);
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].request_bytes == 5);
  CHECK(ends[0].response_bytes == 6);
  CHECK(ends[1].target == "/head");
  CHECK(ends[1].how == exchange_end::complete);
  CHECK(ends[1].response_bytes == 0);
}

TEST_CASE("requests of disconnected clients are reported: one being handled, one behind it, and one within its body") {
  place at;
  REQUIRE(at.asking.send(get("/handled") + get("/behind")));
  exchange::reply const first = at.take();
  at.asking.reset();
  auto ends = at.ends(2, true);
  REQUIRE(ends.size() == 2);
  for (seen const& each : ends) {
    CHECK(each.how == exchange_end::disconnected);
    CHECK(each.status == 0);
    CHECK(!each.answered);
    CHECK(each.taken == (each.target == "/handled"));
    CHECK(each.ready == (each.target == "/handled"));
  }
  answer(first, "too late");
  client other(at.http->port());
  REQUIRE(other.send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n12345"));
  other.half_close();
  CHECK(other.ended());
  ends = at.ends(3);
  REQUIRE(ends.size() == 3);
  CHECK(ends[2].target == "/body");
  CHECK(ends[2].how == exchange_end::disconnected);
  CHECK(ends[2].request_bytes == 5);
  CHECK(!ends[2].ready);
}

TEST_CASE("incomplete headers are not an exchange") {
  place at;
  REQUIRE(at.asking.send(get("/whole") + "GET /half HTTP/1.1\r\nHo"));
  answer(at.take(), "");
  CHECK(at.asking.read_response().status == 200);
  at.asking.reset();
  auto const ends = at.ends(1, true);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].target == "/whole");
}

TEST_CASE("a response that its handler cuts is reported as cut") {
  place at;
  REQUIRE(at.asking.send(get("/")));
  {
    exchange::reply const each = at.take();
    server::response_writer writer = begin_answer(each, 10);
    static_cast<void>(writer.write("short"));
    CHECK(writer.finish() == server::response_writer::result::too_short);
  }
  auto const ends = at.ends(1, true);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].how == exchange_end::cut);
  CHECK(ends[0].status == 200);
  CHECK(ends[0].response_bytes == 5);
}

TEST_CASE("expired and dropped requests are reported as expired and abandoned") {
  place at;
  REQUIRE(at.asking.send(get("/late")));
  {
    exchange::reply const late = at.requests.next();
    CHECK(exchange::of(late).withdraw());
    CHECK(!exchange::of(late).begin());
    CHECK(late.expire());
  }
  CHECK(at.asking.read_response().status == 503);
  CHECK(at.asking.ended());
  client other(at.http->port());
  REQUIRE(other.send(get("/dropped")));
  static_cast<void>(at.take());
  CHECK(other.read_response().status == 500);
  auto const ends = at.ends(2);
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].how == exchange_end::expired);
  CHECK(ends[0].status == 503);
  CHECK(!ends[0].taken);
  CHECK(ends[1].how == exchange_end::abandoned);
  CHECK(ends[1].status == 500);
  CHECK(ends[1].taken);
}

TEST_CASE("a refused request is reported once, and requests behind it are not") {
  for (auto const& each : {std::pair<std::string, int>{"GET / HTTP/1.1\r\n\r\n", 400},
                           {"nonsense\r\n\r\n", 400},
                           {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
                           {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n", 413},
                           {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcdeX", 400}}) {
    std::string const request = each.first;
    int const status = each.second;
    CAPTURE(request);
    place at;
    REQUIRE(at.asking.send(request + get("/behind")));
    CHECK(at.asking.read_response().status == status);
    CHECK(at.asking.ended());
    at.asking.close();
    auto const ends = at.ends(1, true);
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].how == exchange_end::refused);
    CHECK(ends[0].status == status);
    CHECK(!ends[0].ready);
    CHECK(at.requests.refusals() == 1);
  }
}

TEST_CASE("a server that stops reports the exchanges that it ends") {
  place at;
  REQUIRE(at.asking.send(get("/")));
  exchange::reply const each = at.take();
  at.http->get().stop();
  auto const ends = at.record->all();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].how == exchange_end::disconnected);
}
