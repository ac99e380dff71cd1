// SPDX-License-Identifier: MIT
//
// HTTP/2, request by request, with a client in memory.

#include "http2/http2_protocol.hpp"

#include "../support/http2_talk.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

namespace server = kino::server;
using http2_test::fields;
using http2_test::talk;
using http_server_test::answer;
using http_server_test::begin_answer;
using http_server_test::patient_settings;
using http_server_test::read_body;
using http_server_test::streaming_settings;
using server::exchange;
using server::exchange_end;

TEST_CASE("a GET has a head, no body, and a response") {
  talk here;
  auto const asked = here.peer.request("GET", "/path?query=1", {{"x-field", "some"}, {"cookie", "a=1"}, {"cookie", "b=2"}});
  here.settle();
  REQUIRE(here.requests.size() == 1);
  {
    auto const reply = here.take();
    server::request const& head = exchange::of(reply).head();
    CHECK(head.version == server::http_version::http_2);
    CHECK(head.method() == "GET");
    CHECK(head.path() == "/path");
    CHECK(head.query() == "query=1");
    CHECK(head.host() == "test.example");
    CHECK(head.accepts_trailers);
    CHECK(!head.has_body());
    auto const* const cookie = head.fields().find(server::known_field::cookie);
    REQUIRE(cookie != nullptr);
    std::string joined(head.fields().joined_size(*cookie), '?');
    head.fields().copy_joined(*cookie, joined.data());
    CHECK(joined == "a=1; b=2");
    answer(reply, "hello");
  }
  here.settle();
  CHECK(here.peer.at(asked).status == 200);
  CHECK(here.peer.at(asked).body == "hello");
  CHECK(here.peer.at(asked).value("content-length") == "5");
  CHECK(here.peer.at(asked).value("server") == "kino");
  CHECK(here.peer.at(asked).value("date") != "");
  CHECK(here.peer.at(asked).closed);
  CHECK(here.peer.at(asked).error == 0);
  REQUIRE(here.reports.size() == 1);
  CHECK(here.reports[0].how == exchange_end::complete);
  CHECK(here.reports[0].response_bytes == 5);
}

TEST_CASE("responses come in any order") {
  talk here;
  auto const first = here.peer.request("GET", "/1");
  auto const second = here.peer.request("GET", "/2");
  here.settle();
  REQUIRE(here.requests.size() == 2);
  auto const slow = here.take();
  answer(here.take(), "second");
  here.settle();
  CHECK(here.peer.at(second).body == "second");
  CHECK(here.peer.at(first).status == 0);
  answer(slow, "first");
  here.settle();
  CHECK(here.peer.at(first).body == "first");
}

TEST_CASE("a body is collected before the handler sees its request, with trailers") {
  talk here;
  auto const asked = here.peer.request("POST", "/", {}, true);
  here.peer.send_body(asked, std::string(300'000, 'b'));
  here.settle();
  CHECK(here.requests.empty());
  here.peer.end_body(asked, {{"x-check", "sum"}, {"host", "dropped"}});
  here.settle();
  REQUIRE(here.requests.size() == 1);
  auto const reply = here.take();
  exchange& from = exchange::of(reply);
  CHECK(from.head().unknown_length);
  CHECK(read_body(from) == std::string(300'000, 'b'));
  REQUIRE(from.received_trailers() != nullptr);
  REQUIRE(from.received_trailers()->all().size() == 1);
  CHECK(from.received_trailers()->value(from.received_trailers()->all().front()) == "sum");
  answer(reply, "");
  here.settle();
  CHECK(here.peer.at(asked).closed);
  CHECK(here.reports[0].request_bytes == 300'000);
}

TEST_CASE("a streamed body has the flow control of its reader") {
  talk here(streaming_settings());
  auto const asked = here.peer.request("POST", "/", {}, true);
  auto const other = here.peer.request("POST", "/", {}, true);
  std::string const all(1'000'000, 'c');
  here.peer.send_body(asked, all);
  here.peer.end_body(asked);
  here.settle();
  REQUIRE(here.requests.size() == 2);
  auto const reply = here.take();
  // Until it is read, only a window of it comes; other streams go on.
  here.peer.send_body(other, "other");
  here.peer.end_body(other);
  here.settle();
  CHECK(read_body(exchange::of(here.requests.front())) == "other");
  std::string got;
  char bytes[10'000];
  for (int turns = 0; got.size() != all.size() && turns < 10'000; ++turns) {
    got.append(bytes, exchange::of(reply).read(bytes, sizeof bytes).length);
    here.settle();
  }
  CHECK(got == all);
  answer(reply, "");
  here.settle();
  CHECK(here.peer.at(asked).status == 200);
}

TEST_CASE("a response is streamed, with trailers, and its writer waits for a slow client") {
  server::options settings = patient_settings();
  talk here(settings, {}, 1, 65535, false);
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  auto const reply = here.take();
  auto writer = begin_answer(reply, std::nullopt);
  using result = server::response_writer::result;
  static_cast<void>(writer.write("first"));
  static_cast<void>(writer.flush());
  here.settle();
  CHECK(here.peer.at(asked).body == "first");
  result last = result::ok;
  for (int i = 0; i < 100 && last == result::ok; ++i) last = writer.write(std::string(10'000, 'x'));
  CHECK(last == result::above_high_watermark);
  CHECK(exchange::of(reply).await_room());
}

TEST_CASE("trailers of a response are sent behind its body") {
  talk here;
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  {
    auto const reply = here.take();
    auto writer = begin_answer(reply, std::nullopt);
    static_cast<void>(writer.write("body"));
    server::response_trailers& trailers = exchange::of(reply).trailers();
    static_cast<void>(trailers.add("Grpc-Status", "0"));
    static_cast<void>(writer.finish(&trailers));
  }
  here.settle();
  CHECK(here.peer.at(asked).body == "body");
  CHECK(here.peer.at(asked).trailers == fields{{"grpc-status", "0"}});
  CHECK(here.peer.at(asked).ended);
}

TEST_CASE("a response to HEAD, and one that has no body, have none") {
  talk here;
  auto const head = here.peer.request("HEAD", "/");
  here.settle();
  answer(here.take(), "not sent");
  here.settle();
  CHECK(here.peer.at(head).status == 200);
  CHECK(here.peer.at(head).body == "");
  CHECK(here.peer.at(head).value("content-length") == "8");
  CHECK(here.peer.at(head).closed);
}

TEST_CASE("a handler that gives no response, or an incomplete one, is seen as an error") {
  talk here;
  auto const unanswered = here.peer.request("GET", "/");
  auto const partly = here.peer.request("GET", "/");
  here.settle();
  static_cast<void>(here.take());
  {
    auto const reply = here.take();
    auto writer = begin_answer(reply, std::nullopt);
    static_cast<void>(writer.write("some"));
    writer.abort();
  }
  here.settle();
  CHECK(here.peer.at(unanswered).status == 500);
  CHECK(here.peer.at(partly).body == "some");
  CHECK(!here.peer.at(partly).ended);
  CHECK(here.peer.at(partly).error == NGHTTP2_INTERNAL_ERROR);
}

TEST_CASE("what is wrong with a request is said by a status, and other streams go on") {
  server::options settings = patient_settings();
  settings.connection.max_header_fields = 10;
  settings.connection.max_header_size = 20'000;
  settings.connection.max_body_size = 1000;
  talk here(settings);
  struct {
    char const* what;
    fields header;
    int status;
  } const all[] = {
      {"too many fields", fields(11, {"a", "b"}), 431},
      {"fields too long", {{"a", std::string(15'000, 'b')}, {"c", std::string(15'000, 'b')}}, 431},
      {"another host", {{"host", "other.example"}}, 400},
      {"an expectation", {{"expect", "miracles"}}, 417},
  };
  for (auto const& each : all) {
    INFO(each.what);
    auto const asked = here.peer.request("GET", "/", each.header);
    here.settle();
    CHECK(here.peer.at(asked).status == each.status);
    CHECK(here.peer.at(asked).closed);
  }
  auto const large = here.peer.request("POST", "/", {{"content-length", "1001"}}, true);
  here.settle();
  CHECK(here.peer.at(large).status == 413);
  auto const longer = here.peer.request("POST", "/", {}, true);
  here.peer.send_body(longer, std::string(5000, 'x'));
  here.settle();
  CHECK(here.peer.at(longer).status == 413);
  CHECK(here.peer.at(longer).ended);
  CHECK(here.requests.empty());
  CHECK(here.refusals == 6);
  auto const fine = here.peer.request("GET", "/");
  here.settle();
  answer(here.take(), "fine");
  here.settle();
  CHECK(here.peer.at(fine).body == "fine");
}

TEST_CASE("what a client sends behind the response is dropped, for a while") {
  talk here(streaming_settings());
  auto const short_one = here.peer.request("POST", "/", {}, true);
  auto const endless = here.peer.request("POST", "/", {}, true);
  here.settle();
  answer(here.take(), "ignored");
  answer(here.take(), "ignored");
  here.settle();
  CHECK(!here.peer.at(endless).closed);
  here.peer.send_body(short_one, std::string(300'000, 'x'));  // more than the windows have room for
  here.peer.end_body(short_one);
  here.settle();
  CHECK(here.peer.at(short_one).body == "ignored");
  CHECK(here.peer.at(short_one).closed);
  CHECK(here.peer.at(short_one).error == 0);
  here.pass(std::chrono::minutes(1));
  CHECK(here.peer.at(endless).body == "ignored");
  CHECK(here.peer.at(endless).closed);
  CHECK(here.peer.at(endless).error == 0);
  CHECK(here.http().live() == 1);
}

TEST_CASE("a streamed request that becomes invalid at once is refused once") {
  server::options settings = streaming_settings();
  settings.connection.max_body_size = 10;
  talk here(settings);
  auto const asked = here.peer.request("POST", "/", {}, true);
  here.peer.send_body(asked, "more than ten bytes");
  here.settle();
  CHECK(here.requests.empty());
  CHECK(here.refusals == 1);
  CHECK(here.peer.at(asked).status == 413);
  auto const other = here.peer.request("POST", "/", {}, true);
  here.settle();
  REQUIRE(here.requests.size() == 1);
  here.peer.send_body(other, "more than ten bytes");
  here.settle();
  char bytes[20];
  auto const got = exchange::of(here.requests.front()).read(bytes, sizeof bytes);
  CHECK(got.what == server::body_pipe::state::broken);
  CHECK(got.why.status == 413);
  answer(here.take(), "the handler answers");
  here.settle();
  CHECK(here.peer.at(other).body == "the handler answers");
}

TEST_CASE("CONNECT is not supported") {
  talk here;
  auto const asked = here.peer.raw_request({{":method", "CONNECT"}, {":authority", "a.example:1"}}, false);
  here.settle();
  CHECK(here.peer.at(asked).status == 501);
}

TEST_CASE("a client that resets its stream is gone for the handler, and the connection goes on") {
  talk here(streaming_settings());
  auto const asked = here.peer.request("POST", "/", {}, true);
  here.peer.send_body(asked, "part");
  here.settle();
  auto const reply = here.take();
  here.peer.reset(asked);
  here.settle();
  exchange& from = exchange::of(reply);
  CHECK(from.client_gone());
  char bytes[10];
  CHECK(from.read(bytes, sizeof bytes).length == 4);
  CHECK(from.read(bytes, sizeof bytes).what == server::body_pipe::state::broken);
  CHECK(here.reports.size() == 1);
  CHECK(here.reports[0].how == exchange_end::disconnected);
  auto writer = begin_answer(reply, std::nullopt);
  CHECK(writer.write("x") == server::response_writer::result::above_high_watermark);
  CHECK(writer.write("x") == server::response_writer::result::gone);
  here.peer.request("GET", "/2");
  here.settle();
  CHECK(here.requests.size() == 1);
}

TEST_CASE("a drained connection announces its end, answers what has come, and ends") {
  talk here;
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  here.http().begin_drain();
  here.settle();
  REQUIRE(here.peer.goaways().size() == 2);
  CHECK(here.peer.goaways()[0] == std::pair<std::int32_t, std::uint32_t>(INT32_MAX, 0));
  CHECK(here.peer.goaways()[1] == std::pair<std::int32_t, std::uint32_t>(asked, 0));
  CHECK(!here.wire().sees_end());
  answer(here.take(), "late");
  here.settle();
  CHECK(here.peer.at(asked).body == "late");
  CHECK(here.wire().sees_end());
}

TEST_CASE("an idle connection ends") {
  server::options settings = patient_settings();
  settings.connection.keep_alive_timeout = std::chrono::seconds(65);
  talk here(settings);
  here.settle();
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  here.pass(std::chrono::hours(2));
  CHECK(!here.wire().sees_end());  // The handler may take its time.
  answer(here.take(), "late");
  here.settle();
  CHECK(here.peer.at(asked).body == "late");
  here.pass(std::chrono::hours(4));
  CHECK(here.peer.goaways().size() == 1);
  CHECK(here.wire().sees_end());
}
