// SPDX-License-Identifier: MIT
//
// Responses as their handlers describe them, without any protocol.

#include "http/response.hpp"

#include "base/options.hpp"
#include "http/exchange.hpp"
#include "http/response_writer.hpp"

#include "../support/null_sink.hpp"
#include "../support/private_access.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::string_literals;
using namespace std::string_view_literals;
namespace server = kino::server;
using server::exchange;
using server::response_head;
using server::response_part;
using problem = response_head::problem;

KINO_TEST_REACH(sink_of, server::exchange, sink_)

namespace {

using fields = std::vector<std::pair<std::string, std::string>>;

fields fields_of(response_head const& head) {
  fields all;
  std::size_t bytes = 0;
  head.fields().each([&](std::string_view name, std::string_view value) {
    all.emplace_back(name, value);
    bytes += name.size() + value.size();
  });
  CHECK(all.size() == head.fields().count());
  CHECK(bytes == head.fields().bytes());
  return all;
}

problem problem_of(std::string_view name, std::string_view value) {
  response_head head;
  REQUIRE(head.start(200) == problem::none);
  problem const found = head.add(name, value);
  if (found != problem::none) CHECK(head.fields().count() == 0);
  return found;
}

// Takes whole responses, without any connection.
class recording_sink final : public server::response_sink {
public:
  struct recorded {
    int status = 0;
    fields given;
    std::string body;
    std::vector<std::string> steps;
  };

  // Makes an exchange that answers here.
  exchange::reply request() {
    exchange::reply made(pool_->acquire(null_sink_test::nowhere()));
    sink_of(exchange::of(made)) = this;
    return made;
  }

  recorded seen;
  bool client_is_gone = false;

private:
  server::delivery send(exchange&, response_part const& part) noexcept override {
    if (client_is_gone) return server::delivery::gone;
    std::string step;
    if (part.head) {
      seen.status = part.head->status();
      seen.given = fields_of(*part.head);
      step += "head ";
    }
    if (!part.data.empty()) step += "data ";
    for (iovec const& one : part.data) seen.body.append(static_cast<char const*>(one.iov_base), one.iov_len);
    if (part.end) step += "end ";
    seen.steps.push_back(step);
    return server::delivery::taken;
  }
  server::delivery interim(exchange&, server::response_head const&) noexcept override { return server::delivery::taken; }
  void flush(exchange&) noexcept override { seen.steps.push_back("flush"); }
  bool await_room(exchange&) override { return false; }
  void cut(exchange&) override { seen.steps.push_back("cut"); }
  void unanswered(exchange&, kino::ending) noexcept override { seen.steps.push_back("unanswered"); }
  void resume_reading(exchange&) override {}
  bool client_gone(exchange const&) override { return client_is_gone; }
  server::endpoint const& peer() const override { return nowhere_; }
  server::endpoint const& local() const override { return nowhere_; }
  void release() noexcept override { seen.steps.push_back("release"); }

  server::endpoint const nowhere_{};
  server::exchange_pool::owner const pool_ = server::exchange_pool::make();
};

}  // namespace

TEST_CASE("a status is one of 200 to 999, and no interim one") {
  response_head head;
  for (long status = -1; status <= 70'000; ++status) {
    problem const wanted = status < 100 || status > 999 ? problem::bad_status
                           : status < 200               ? problem::interim_status
                                                        : problem::none;
    REQUIRE(head.start(status) == wanted);
    if (wanted == problem::none) REQUIRE(head.status() == status);
  }
}

TEST_CASE("nothing that could begin another line gets into a description") {
  for (std::string const& value : {"a\r\nx: y"s, "a\nb"s, "a\rb"s, "a\0b"s, "\x01"s, "\x7f"s}) {
    CHECK(problem_of("x-a", value) == problem::bad_value);
  }
  for (std::string const& name : {""s, "a b"s, "a:"s, "a\r\n"s, "a\0"s, "\xC3\xA4"s, "(a)"s}) {
    CHECK(problem_of(name, "b") == problem::bad_name);
  }
  for (std::string const& value : {""s, "a\tb"s, "\xC3\xA4"s, "a, b; c=\"d\""s}) {
    CHECK(problem_of("x-a", value) == problem::none);
  }
}

TEST_CASE("fields about the connection are noted or dropped") {
  response_head head;
  REQUIRE(head.start(426) == problem::none);
  for (auto const& [name, value] : {std::pair{"Transfer-Encoding", "chunked"},
                                    {"Connection", "keep-alive, X-A"},
                                    {"Keep-Alive", "timeout=5"},
                                    {"Proxy-Connection", "keep-alive"},
                                    {"Content-Length", "5"}}) {
    CHECK(head.add(name, value) == problem::none);
  }
  CHECK(fields_of(head).empty());
  CHECK(!head.wants_close());
  CHECK(!head.has_upgrade());
  CHECK(head.add("Upgrade", "h2c") == problem::none);
  CHECK(head.has_upgrade());
  CHECK(!head.has_trailer());
  CHECK(!head.has_date());
  CHECK(head.add("DATE", "then") == problem::none);
  CHECK(head.has_date());
  CHECK(!head.has_server());
  CHECK(head.add("server", "mine") == problem::none);
  CHECK(head.has_server());
  CHECK(head.add("Trailer", "X-B") == problem::none);
  CHECK(head.has_trailer());
  CHECK(fields_of(head) == fields{{"Upgrade", "h2c"}, {"DATE", "then"}, {"server", "mine"}, {"Trailer", "X-B"}});
  for (auto const& [value, close] : {std::pair{"x, Close "sv, true},
                                     {"close\t"sv, true},
                                     {",\tCLOSE\t,x"sv, true},
                                     {"closed"sv, false},
                                     {"x-close, keep-alive"sv, false},
                                     {""sv, false}}) {
    REQUIRE(head.start(200) == problem::none);
    CHECK(!head.wants_close());
    CHECK(!head.has_upgrade());
    CHECK(head.add("connection", value) == problem::none);
    CHECK(head.wants_close() == close);
  }
}

TEST_CASE("one length may be said twice, two may not") {
  response_head head;
  REQUIRE(head.start(200) == problem::none);
  CHECK(!head.content_length());
  CHECK(head.add("content-length", "5") == problem::none);
  CHECK(head.add("Content-Length", "5") == problem::none);
  CHECK(head.set_length(5) == problem::none);
  CHECK(head.content_length() == 5);
  CHECK(head.set_length(6) == problem::other_length);
  CHECK(head.add("content-length", "6") == problem::bad_length);
  CHECK(head.content_length() == 5);
  for (std::string_view const bad : {""sv, "-1"sv, "+1"sv, "1 "sv, "x"sv, "99999999999999999999"sv}) {
    CHECK(problem_of("content-length", bad) == problem::bad_length);
  }
}

TEST_CASE("random fields come out as they went in, again and again") {
  stress::dice chance(1);
  response_head head;
  std::string const token = "abcXYZ019!#$%&'*+-.^_`|~";
  for (std::uint32_t round = 0; round < stress::scaled(500); ++round) {
    REQUIRE(head.start(200 + chance.below(800)) == problem::none);
    fields wanted;
    for (std::uint32_t left = chance.below(40); left != 0; --left) {
      std::string name = "x";  // no name that means something
      for (std::uint32_t length = chance.below(30); length != 0; --length) name += token[chance.below(24)];
      std::string value;
      std::uint32_t const most = chance.once_in(20) ? 20'000 : 60;
      for (std::uint32_t length = chance.below(most); length != 0; --length) {
        value += static_cast<char>(chance.once_in(9) ? '\t' : ' ' + chance.below(95));
      }
      bool const bad = chance.once_in(6);
      if (bad && chance.once_in(2)) {
        name.insert(chance.below(static_cast<std::uint32_t>(name.size() + 1)), 1, ":\r\n ("[chance.below(5)]);
        CHECK(head.add(name, value) == problem::bad_name);
      } else if (bad) {
        value.insert(chance.below(static_cast<std::uint32_t>(value.size() + 1)), 1, "\r\n\0\x7f"[chance.below(4)]);
        CHECK(head.add(name, value) == problem::bad_value);
      } else {
        CHECK(head.add(name, value) == problem::none);
        wanted.emplace_back(name, value);
      }
    }
    CHECK(fields_of(head) == wanted);
  }
}

TEST_CASE("a brief response has its reason as text, and ends the connection") {
  server::brief_response const brief(503);
  CHECK(brief.head().status() == 503);
  CHECK(brief.head().wants_close());
  CHECK(brief.head().content_length() == 20);
  CHECK(fields_of(brief.head()) == fields{{"content-type", "text/plain"}, {"retry-after", "1"}});
  recording_sink sink;
  sink.request().answer(brief.whole());
  CHECK(sink.seen.body == "Service Unavailable\n");
  CHECK(sink.seen.steps == std::vector{"head data end "s, "release"s});
}

TEST_CASE("any sink can take a response: in one part, ...") {
  recording_sink sink;
  exchange::reply reply = sink.request();
  response_head& head = exchange::of(reply).response();
  REQUIRE(head.start(201) == problem::none);
  REQUIRE(head.add("x-a", "b") == problem::none);
  iovec const pieces[] = {server::piece("one, "), server::piece("two")};
  CHECK(reply.answer({&head, pieces, true}));
  CHECK(!reply.answer({&head, pieces, true}));
  reply = {};
  CHECK(sink.seen.status == 201);
  CHECK(sink.seen.given == fields{{"x-a", "b"}});
  CHECK(sink.seen.body == "one, two");
  CHECK(sink.seen.steps == std::vector{"head data end "s, "release"s});
}

TEST_CASE("... in many, ...") {
  recording_sink sink;
  exchange::reply reply = sink.request();
  REQUIRE(exchange::of(reply).response().start(200) == problem::none);
  REQUIRE(exchange::of(reply).response().set_length(6) == problem::none);
  using result = server::response_writer::result;
  server::response_writer writer(reply);
  CHECK(writer.write("") == result::ok);
  CHECK(!writer.head_sent());
  CHECK(writer.write("too long") == result::too_long);
  CHECK(!writer.head_sent());
  CHECK(writer.write("one") != result::gone);
  CHECK(writer.open());
  CHECK(writer.flush() == result::ok);
  CHECK(!writer.completed_by(2));
  CHECK(writer.completed_by(3));
  CHECK(writer.write("four") == result::too_long);
  CHECK(writer.write("two") == result::ok);
  CHECK(writer.finish() == result::ok);
  CHECK(writer.finish() == result::ok);
  CHECK(sink.seen.body == "onetwo");
  CHECK(sink.seen.steps == std::vector{"head data "s, "flush"s, "data "s, "end "s});
}

TEST_CASE("... with too little, ...") {
  recording_sink sink;
  exchange::reply const reply = sink.request();
  REQUIRE(exchange::of(reply).response().start(200) == problem::none);
  REQUIRE(exchange::of(reply).response().set_length(6) == problem::none);
  server::response_writer writer(reply);
  static_cast<void>(writer.write("one"));
  CHECK(writer.finish() == server::response_writer::result::too_short);
  CHECK(writer.finished());
  CHECK(sink.seen.steps == std::vector{"head data "s, "flush"s, "cut"s});
}

TEST_CASE("... without a body, ...") {
  for (long status : {204, 205, 304}) {
    recording_sink sink;
    exchange::reply const reply = sink.request();
    REQUIRE(exchange::of(reply).response().start(status) == problem::none);
    REQUIRE(exchange::of(reply).response().set_length(6) == problem::none);
    server::response_writer writer(reply);
    static_cast<void>(writer.write("anything"));
    CHECK(writer.finish() == server::response_writer::result::ok);
    CHECK(sink.seen.body.empty());
    CHECK(sink.seen.steps == std::vector{"head "s, "end "s});
  }
}

TEST_CASE("... and a writer whose request has ended otherwise is told so") {
  recording_sink sink;
  exchange::reply const reply = sink.request();
  REQUIRE(exchange::of(reply).response().start(200) == problem::none);
  server::response_writer writer(reply);
  CHECK(reply.answer({.end = true}));
  CHECK(writer.write("late") == server::response_writer::result::gone);
  CHECK(writer.finished());
  CHECK(!writer.open());
}

TEST_CASE("trailers are fields, without those that may not be trailers") {
  kino::server::response_trailers trailers;
  CHECK(trailers.fields().empty());
  CHECK(trailers.add("grpc-status", "0") == problem::none);
  CHECK(trailers.add("Content-Length", "5") == problem::none);
  CHECK(trailers.add("transfer_encoding", "chunked") == problem::none);
  CHECK(trailers.add("a b", "5") == problem::bad_name);
  CHECK(trailers.add("", "5") == problem::bad_name);
  CHECK(trailers.add("a", "b\r\nc: d") == problem::bad_value);
  CHECK(trailers.add("a", "") == problem::none);
  fields all;
  trailers.fields().each([&](std::string_view name, std::string_view value) { all.emplace_back(name, value); });
  CHECK(all == fields{{"grpc-status", "0"}, {"a", ""}});
  trailers.clear();
  CHECK(trailers.fields().empty());
}
