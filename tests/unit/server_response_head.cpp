// SPDX-License-Identifier: MIT

#include "http1/response_head.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

using namespace std::string_literals;
using namespace std::string_view_literals;
using kino::server::byte_buffer;
using kino::server::framing;
using kino::server::response_head;
using problem = response_head::problem;

namespace {

using headers = std::initializer_list<std::pair<std::string_view, std::string_view>>;

std::string head_of(long code, headers given, response_head::ending const& end) {
  byte_buffer out;
  response_head head(out);
  REQUIRE(head.status(code) == problem::none);
  for (auto const& [name, value] : given) REQUIRE(head.header(name, value) == problem::none);
  head.finish(end);
  return std::string(out.view());
}

problem header_problem(std::string_view name, std::string_view value) {
  byte_buffer out;
  response_head head(out);
  REQUIRE(head.status(200) == problem::none);
  std::size_t const before = out.size();
  problem const found = head.header(name, value);
  if (found != problem::none) CHECK(out.size() == before);
  return found;
}

bool has(std::string const& head, std::string const& line) {
  return head.find("\r\n" + line + "\r\n") != head.npos;
}

// Every digit a 0, every letter an A or a.
std::string shape_of(std::string text) {
  for (char& c : text) {
    if (c >= '0' && c <= '9') c = '0';
    if (c >= 'A' && c <= 'Z') c = 'A';
    if (c >= 'a' && c <= 'z') c = 'a';
  }
  return text;
}

constexpr response_head::ending plain{framing::length, 5, true, false};

}  // namespace

TEST_CASE("a head has a status line, the headers, a length, a date and a server") {
  std::string const head = head_of(200, {{"content-type", "text/plain"}, {"x-a", "b"}}, plain);
  CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(head.ends_with("\r\n\r\n"));
  CHECK(has(head, "content-type: text/plain"));
  CHECK(has(head, "x-a: b"));
  CHECK(has(head, "content-length: 5"));
  CHECK(has(head, "server: kino"));
  std::size_t const date = head.find("\r\ndate: ");
  REQUIRE(date != head.npos);
  CHECK(shape_of(head.substr(date + 8, 29)) == "Aaa, 00 Aaa 0000 00:00:00 AAA");
  CHECK(head.substr(date + 8 + 25, 6) == " GMT\r\n");
  CHECK(!has(head, "connection: close"));
}

TEST_CASE("an application's own date and server stand alone") {
  std::string const head = head_of(200, {{"Date", "then"}, {"SERVER", "mine"}}, plain);
  CHECK(has(head, "Date: then"));
  CHECK(head.find("date:") == head.npos);
  CHECK(has(head, "SERVER: mine"));
  CHECK(head.find("server:") == head.npos);
}

TEST_CASE("a status without a known reason has an empty one") {
  CHECK(head_of(299, {}, plain).starts_with("HTTP/1.1 299 \r\n"));
  byte_buffer out;
  CHECK(response_head(out).status(99) == problem::bad_status);
  CHECK(response_head(out).status(1000) == problem::bad_status);
  CHECK(response_head(out).status(-1) == problem::bad_status);
  CHECK(response_head(out).status(65536 + 200) == problem::bad_status);
}

TEST_CASE("each framing says how the body ends") {
  CHECK(
      has(head_of(200, {}, {framing::chunked, 0, true, false}), "transfer-encoding: chunked"));
  CHECK(has(head_of(200, {}, {framing::length, 0, true, false}), "content-length: 0"));
  std::string const closing = head_of(200, {}, {framing::closing, 0, false, true});
  CHECK(has(closing, "connection: close"));
  CHECK(closing.find("content-length") == closing.npos);
  CHECK(closing.find("transfer-encoding") == closing.npos);
}

TEST_CASE("an answer without a body says a length only where one is allowed") {
  response_head::ending const none{framing::none, 0, true, false};
  CHECK(has(head_of(200, {{"content-length", "7"}}, none), "content-length: 7"));  // HEAD
  CHECK(has(head_of(304, {{"content-length", "7"}}, none), "content-length: 7"));
  CHECK(head_of(204, {{"content-length", "0"}}, none).find("content-length") ==
        std::string::npos);
  CHECK(head_of(200, {}, none).find("content-length") == std::string::npos);
}

TEST_CASE("headers about the connection are the server's") {
  std::string const head = head_of(200,
                                   {{"Transfer-Encoding", "chunked"},
                                    {"Connection", "keep-alive, X-A"},
                                    {"Keep-Alive", "timeout=5"},
                                    {"Proxy-Connection", "keep-alive"},
                                    {"Trailer", "X-B"}},
                                   plain);
  for (char const* name : {"Transfer-Encoding", "onnection", "Keep-Alive", "Trailer"}) {
    CHECK(head.find(name) == head.npos);
  }
  CHECK(has(head_of(200, {}, {framing::length, 1, true, true}), "connection: keep-alive"));
  CHECK(has(head_of(200, {}, {framing::length, 1, false, false}), "connection: close"));
  for (auto const& [value, close] : {std::pair{"x, Close "sv, true},
                                     {"close\t"sv, true},
                                     {",\tCLOSE\t,x"sv, true},
                                     {"closed"sv, false},
                                     {"x-close, keep-alive"sv, false},
                                     {""sv, false}}) {
    byte_buffer out;
    response_head asks(out);
    CHECK(!asks.wants_close());
    CHECK(asks.header("connection", value) == problem::none);
    CHECK(asks.wants_close() == close);
    CHECK(out.empty());
  }
}

TEST_CASE("an upgrade that is on offer is listed in connection") {
  headers const offer{{"Upgrade", "h2c"}};
  std::string const head = head_of(426, offer, plain);
  CHECK(has(head, "Upgrade: h2c"));
  CHECK(has(head, "connection: upgrade"));
  CHECK(has(head_of(426, offer, {framing::length, 1, false, false}),
            "connection: close, upgrade"));
  CHECK(has(head_of(426, offer, {framing::length, 1, true, true}),
            "connection: keep-alive, upgrade"));
}

TEST_CASE("one length may be said twice, two may not") {
  byte_buffer out;
  response_head head(out);
  CHECK(head.header("content-length", "5") == problem::none);
  CHECK(head.header("Content-Length", "5") == problem::none);
  CHECK(head.content_length() == 5);
  CHECK(head.header("content-length", "6") == problem::bad_length);
  for (std::string_view const bad :
       {""sv, "-1"sv, "+1"sv, "1 "sv, "x"sv, "99999999999999999999"sv}) {
    CHECK(header_problem("content-length", bad) == problem::bad_length);
  }
}

TEST_CASE("nothing that could begin another line gets out") {
  for (std::string const& value : {"a\r\nx: y"s, "a\nb"s, "a\rb"s, "a\0b"s, "\x01"s, "\x7f"s}) {
    CHECK(header_problem("x-a", value) == problem::bad_value);
  }
  for (std::string const& name : {""s, "a b"s, "a:"s, "a\r\n"s, "a\0"s, "\xC3\xA4"s, "(a)"s}) {
    CHECK(header_problem(name, "b") == problem::bad_name);
  }
  for (std::string const& value : {""s, "a\tb"s, "\xC3\xA4"s, "a, b; c=\"d\""s}) {
    CHECK(header_problem("x-a", value) == problem::none);
  }
}

TEST_CASE("a brief answer is complete, closes, and has no body for HEAD") {
  byte_buffer out;
  response_head::brief(out, 503, false);
  std::string const whole(out.view());
  CHECK(has(whole, "connection: close"));
  CHECK(has(whole, "retry-after: 1"));
  CHECK(has(whole, "content-length: 20"));
  CHECK(whole.ends_with("\r\n\r\nService Unavailable\n"));
  byte_buffer head;
  response_head::brief(head, 503, true);
  CHECK(head.view().ends_with("\r\n\r\n"));
  CHECK(has(std::string(head.view()), "content-length: 20"));
}
