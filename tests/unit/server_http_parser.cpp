// SPDX-License-Identifier: MIT

#include "characters.hpp"
#include "http_parser.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::string_literals;
using kino::server::http_parser;
using kino::server::rejection;
using kino::server::request;

namespace {

constexpr std::size_t header_limit = 4096;

// A parser with what it parsed, fed whole or byte by byte.
struct parsing : http_parser::sink {
  request head;
  std::string body;
  http_parser parser{*this, header_limit};
  bool headed = false;
  http_parser::result last{http_parser::state::incomplete, 0};
  std::size_t consumed = 0;

  virtual ~parsing() = default;

  rejection on_head() override {
    headed = true;
    return {};
  }
  rejection on_body(std::string_view bytes) override {
    body += bytes;
    return {};
  }

  void parse(std::string_view bytes, std::size_t step) {
    head.clear();
    body.clear();
    headed = false;
    consumed = 0;
    parser.start(head);
    while (consumed < bytes.size()) {
      last = parser.parse(bytes.substr(consumed, step));
      consumed += last.consumed;
      if (last.what != http_parser::state::incomplete) return;
    }
  }
  std::string_view header(std::string_view key) const {
    for (auto const& each : head.headers()) {
      if (head.key(each) == key) return head.value(each);
    }
    return "(none)";
  }
};

std::string const get = "GET / HTTP/1.1\r\nHost: x\r\n";
std::string const post = "POST / HTTP/1.1\r\nHost: x\r\n";
std::string const chunked = post + "Transfer-Encoding: chunked\r\n\r\n";

// Both ways of arriving have to come to the same end.
template <class Check>
void both_ways(std::string_view bytes, Check check) {
  for (std::size_t const step : {bytes.size(), std::size_t{1}, std::size_t{3}}) {
    parsing p;
    p.parse(bytes, step);
    CAPTURE(bytes);
    CAPTURE(step);
    check(p);
  }
}

void accepts(std::string_view bytes) {
  both_ways(bytes, [](parsing& p) { CHECK(p.last.what == http_parser::state::complete); });
}

void rejects(std::string_view bytes, int status = 400) {
  both_ways(bytes, [status](parsing& p) {
    CHECK(p.last.what == http_parser::state::rejected);
    CHECK(p.parser.why().status == status);
    CHECK(!std::string_view(p.parser.why().reason).empty());
  });
}

}  // namespace

TEST_CASE("a request line and headers become method, target and Rack keys") {
  both_ways("PATCH /a/b?c=d&e HTTP/1.1\r\nHost: example.org:8080\r\nX-Some-Thing: some value \t\r\n"
            "content-type: text/plain\r\nX-Empty:\r\n\r\n",
            [](parsing& p) {
              CHECK(p.last.what == http_parser::state::complete);
              CHECK(p.head.method == "PATCH");
              CHECK(p.head.path() == "/a/b");
              CHECK(p.head.query() == "c=d&e");
              CHECK(p.head.host_name() == "example.org");
              CHECK(p.head.host_port() == "8080");
              CHECK(p.header("HTTP_X_SOME_THING") == "some value");
              CHECK(p.header("CONTENT_TYPE") == "text/plain");
              CHECK(p.header("HTTP_X_EMPTY") == "");
              CHECK(p.head.keep_alive);
              CHECK(!p.head.has_body());
            });
}

TEST_CASE("a request ends where it ends, and the next one begins there") {
  std::string const first = post + "Content-Length: 5\r\n\r\nhello";
  both_ways(first + get + "\r\n", [&](parsing& p) {
    CHECK(p.body == "hello");
    CHECK(p.consumed == first.size());
  });
}

TEST_CASE("chunks are put together, extensions and trailers left out") {
  both_ways(chunked + "5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\nGET",
            [](parsing& p) {
              CHECK(p.last.what == http_parser::state::complete);
              CHECK(p.body == "hello world");
              CHECK(p.header("HTTP_X_TRAILER") == "(none)");
              CHECK(p.head.chunked);
            });
}

TEST_CASE("repeated headers are joined, cookies with a semicolon") {
  both_ways(get + "Accept: a\r\nCookie: k=1\r\nACCEPT: b\r\nCookie: l=2\r\naccept: c\r\n\r\n",
            [](parsing& p) {
              CHECK(p.header("HTTP_ACCEPT") == "a, b, c");
              CHECK(p.header("HTTP_COOKIE") == "k=1; l=2");
              CHECK(p.head.headers().size() == 3);
            });
}

TEST_CASE("the target decides about host, path and query") {
  auto const target = [](std::string const& text, auto check) {
    both_ways("GET " + text + " HTTP/1.1\r\nHost: y\r\n\r\n", check);
  };
  target("http://x:81/p?q", [](parsing& p) {
    CHECK(p.head.host_name() == "x");
    CHECK(p.head.host_port() == "81");
    CHECK(p.head.path() == "/p");
    CHECK(p.head.query() == "q");
  });
  target("http://x?q", [](parsing& p) {
    CHECK(p.head.path() == "/");
    CHECK(p.head.query() == "q");
  });
  target("/a?b?c", [](parsing& p) { CHECK(p.head.query() == "b?c"); });
  both_ways("OPTIONS * HTTP/1.1\r\nHost: y\r\n\r\n",
            [](parsing& p) { CHECK(p.head.path() == "*"); });
  both_ways("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", [](parsing& p) {
    CHECK(p.head.host_name() == "[::1]");
    CHECK(p.head.host_port() == "80");
  });
}

TEST_CASE("whether the connection is kept is the client's to say") {
  auto const kept = [](std::string const& bytes, bool expected) {
    both_ways(bytes, [expected](parsing& p) {
      CHECK(p.last.what == http_parser::state::complete);
      CHECK(p.head.keep_alive == expected);
    });
  };
  kept(get + "\r\n", true);
  kept(get + "Connection: close\r\n\r\n", false);
  kept("GET / HTTP/1.0\r\n\r\n", false);
  kept("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true);
}

TEST_CASE("an upgrade that is offered is a plain request here") {
  both_ways(get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET", [](parsing& p) {
    CHECK(p.last.what == http_parser::state::complete);
    CHECK(p.header("HTTP_UPGRADE") == "websocket");
  });
}

TEST_CASE("what is unusual and sound is accepted") {
  for (std::string const& bytes :
       {"\r\n\r\n" + get + "\r\n", get + "X-A: a\tb\r\n\r\n", get + "X-A: \xC3\xA4\r\n\r\n",
        get + "X!#$%&'*+.^`|~: 1\r\n\r\n", get + "X_A: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhOsT: x\r\n\r\n"s, "GET / HTTP/1.1\r\nHost:\r\n\r\n"s,
        post + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        post + "Content-Length: 007\r\n\r\nabcdefg", chunked + "0A\r\n0123456789\r\n000\r\n\r\n"}) {
    accepts(bytes);
  }
}

TEST_CASE("requests whose length two parsers could read differently are rejected") {
  for (std::string const& headers :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"s,
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"s,
        "Content-Length: 5\r\nContent-Length: 5\r\n"s, "Content-Length: 5\r\nContent-Length: 6\r\n"s,
        "Content-Length: 5, 5\r\n"s, "Content-Length: +5\r\n"s, "Content-Length: -5\r\n"s,
        "Content-Length: 0x5\r\n"s, "Content-Length: 5 5\r\n"s, "Content-Length:\r\n"s,
        "Content-Length: 99999999999999999999\r\n"s, "Content-Length: 9223372036854775808\r\n"s,
        "Transfer-Encoding: identity\r\n"s, "Transfer-Encoding: gzip, chunked\r\n"s,
        "Transfer-Encoding: chunked, gzip\r\n"s, "Transfer-Encoding: chunked, chunked\r\n"s,
        "Transfer-Encoding: xchunked\r\n"s, "Transfer-Encoding: \vchunked\r\n"s,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"s,
        "Content_Length: 5\r\n"s, "Transfer_Encoding: chunked\r\n"s, "Content-Length : 5\r\n"s}) {
    rejects(post + headers + "\r\n0\r\n\r\n");
  }
  rejects("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

TEST_CASE("lines that two parsers could end differently are rejected") {
  for (std::string const& bytes :
       {"GET / HTTP/1.1\nHost: x\r\n\r\n"s, get + "A: b\nC: d\r\n\r\n", get + "\n",
        get + "A: b\rC: d\r\n\r\n", get + "\r\r\n", get + "A: b\r\n c\r\n\r\n",
        get + "A: b\r\n\tc\r\n\r\n", "GET / HTTP/1.1\r\n Host: x\r\n\r\n"s,
        chunked + "1\na\r\n0\r\n\r\n", chunked + "1\r\na\n0\r\n\r\n",
        chunked + "1;a\nb\r\na\r\n0\r\n\r\n", chunked + "0\r\nA: b\n\r\n",
        chunked + "0\r\nA: b\r\n c\r\n\r\n", chunked + "0\r\n\n"}) {
    rejects(bytes);
  }
}

TEST_CASE("chunks that are none are rejected") {
  for (char const* size : {"g", "0x1", "-1", "+1", " 1", "1 ", "1\t", "", "10000000000000001"}) {
    rejects(chunked + size + "\r\na\r\n0\r\n\r\n");
  }
  rejects(chunked + "1\r\nab\r\n0\r\n\r\n");
  rejects(chunked + "1;" + std::string(header_limit + 1, 'x') + "\r\na\r\n0\r\n\r\n");
}

TEST_CASE("names and values with other characters are rejected") {
  for (std::string const& header :
       {"A : b"s, "A\t: b"s, ": b"s, "A"s, "A{}: b"s, "A\xC3\xA4: b"s, "A\0: b"s, "A: b\0c"s,
        "A: b\x01"s, "A: b\x7f"s, "X-A: 1\r\nX_A: 2"s, "X_A: 1\r\nX-A: 2"s}) {
    rejects(get + header + "\r\n\r\n");
  }
}

TEST_CASE("a request that names no host, or not one, is rejected") {
  rejects("GET / HTTP/1.1\r\n\r\n");
  for (char const* host : {"a\r\nHost: b", "a b", "a/b", "u@b", "a,b c", "[::1", "a:b", "a:123456"}) {
    rejects("GET / HTTP/1.1\r\nHost: "s + host + "\r\n\r\n");
  }
}

TEST_CASE("request lines that are not HTTP/1.0 or 1.1 are rejected") {
  for (char const* line :
       {"GET /", "GET / HTTP/1.2", "GET / FTP/1.1", "GET / RTSP/1.0", " / HTTP/1.1", "GET HTTP/1.1",
        "GET /a b HTTP/1.1", "GET /a#b HTTP/1.1", "GET a HTTP/1.1", "G\0T / HTTP/1.1",
        "GET / HTTP/1.1 ", "GET /\xff HTTP/1.1", "GET\t/ HTTP/1.1", "get / HTTP/1.1"}) {
    rejects(line + "\r\nHost: x\r\n\r\n"s);
  }
  rejects("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505);
  rejects("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501);
  rejects(post + "Expect: something\r\nContent-Length: 1\r\n\r\na", 417);
}

TEST_CASE("a head beyond its limit is rejected with 431, with the limit and what was seen") {
  for (std::string const& bytes :
       {get + "A: " + std::string(header_limit, 'x') + "\r\n\r\n",
        "GET /" + std::string(header_limit, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n",
        get + std::string(header_limit, 'x'),
        chunked + "0\r\nA: " + std::string(header_limit, 'x') + "\r\n\r\n"}) {
    both_ways(bytes, [](parsing& p) {
      CHECK(p.last.what == http_parser::state::rejected);
      CHECK(p.parser.why().status == 431);
      CHECK(p.parser.why().limit == header_limit);
      CHECK(p.parser.why().value > header_limit);
    });
  }
}

TEST_CASE("nothing of a request that was cut off is left to the next one") {
  std::string const whole = post + "X-Some: thing\r\nContent-Length: 5\r\n\r\nhello";
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    CAPTURE(cut);
    parsing p;
    p.parse(std::string_view(whole).substr(0, cut), 7);
    p.parse(get + "X-Other: value\r\n\r\n", 1000);
    REQUIRE(p.last.what == http_parser::state::complete);
    CHECK(p.head.method == "GET");
    CHECK(p.head.headers().size() == 2);
    CHECK(p.header("HTTP_X_OTHER") == "value");
    CHECK(p.body.empty());
  }
}

TEST_CASE("a rejection by whoever is told of the head ends the parsing") {
  struct refusing final : parsing {
    rejection on_head() override { return {413, "too much", 1, 2}; }
  } p;
  p.parse(post + "Content-Length: 2\r\n\r\nab", 1000);
  CHECK(p.last.what == http_parser::state::rejected);
  CHECK(p.parser.why().status == 413);
  CHECK(p.body.empty());
}

TEST_CASE("the words of a request line are one space apart") {
  rejects("GET  / HTTP/1.1\r\nHost: x\r\n\r\n");
  rejects("GET /  HTTP/1.1\r\nHost: x\r\n\r\n");
  rejects("GET / HTTP/1.1 \r\nHost: x\r\n\r\n");
  accepts("\r\n" + get + "X: a  b \r\n\r\n");
}

TEST_CASE("each byte of a value is looked at, wherever it stands") {
  for (std::size_t length = 1; length <= 20; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string value(length, 'v');
        value[at] = static_cast<char>(byte);
        REQUIRE(kino::server::characters::all_in_value(value) ==
                kino::server::characters::in_value(value[at]));
      }
    }
  }
  CHECK(kino::server::characters::all_in_value(""));
  CHECK(!kino::server::characters::all_in_value("a\tb\x7f"));
}

TEST_CASE("a body of known length may bypass the parser") {
  std::string const head = post + "Content-Length: 10\r\n\r\n";
  parsing p;
  p.parse(head, head.size());
  CHECK(p.last.what == http_parser::state::incomplete);
  CHECK(p.parser.body_left() == 10);
  CHECK_FALSE(p.parser.skip_body(3));
  CHECK(p.parser.body_left() == 7);
  p.last = p.parser.parse("abcd");
  CHECK(p.last.what == http_parser::state::incomplete);
  CHECK(p.body == "abcd");
  CHECK(p.parser.skip_body(3));
}

TEST_CASE("other bodies have no length to count") {
  parsing p;
  p.parse(chunked + "3\r\nab", chunked.size() + 5);
  CHECK(p.parser.body_left() == 0);
  p.parse(get + "\r\n", 1);
  CHECK(p.parser.body_left() == 0);
}
