// SPDX-License-Identifier: MIT

#include "http/request.hpp"

#include "../support/parsing.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>

using namespace parsing_tests;
using namespace std::string_literals;
using namespace std::string_view_literals;

TEST_CASE("repeated headers are joined, cookies with a semicolon") {
  both_ways(get + "Accept: a\r\nCookie: k=1\r\nACCEPT: b\r\nCookie: l=2\r\naccept: c\r\n\r\n",
            [](parsing& p) {
              CHECK(p.header("accept") == "a, b, c");
              CHECK(p.header("cookie") == "k=1; l=2");
              CHECK(p.head.fields().all().size() == 6);
              CHECK(p.head.fields().name_count() == 3);
            });
}

TEST_CASE("fields are kept as they were sent") {
  both_ways(get + "x-One: 1\r\nAccept: a\r\nX-one:\r\nAccept:\tb \t\r\n\r\n", [](parsing& p) {
    kino::server::field_section const& fields = p.head.fields();
    std::string seen;
    for (auto const& each : fields.all()) {
      seen += std::string(fields.name(each)) + "=" + std::string(fields.value(each)) + ";";
    }
    CHECK(seen == "Host=x;x-One=1;Accept=a;X-one=;Accept=b;");
  });
}

TEST_CASE("names with the same key are joined only if they differ in case alone") {
  both_ways(get + "X_A: 1\r\nx_a: 2\r\n\r\n",
            [](parsing& p) { CHECK(p.header("x-a") == "1, 2"); });
  std::string_view const spellings[] = {"X-A-B", "X-A_B", "X_A-B", "X_A_B"};
  for (std::string_view const first : spellings) {
    for (std::string_view const second : spellings) {
      if (first == second) continue;
      rejects(get + std::string(first) + ": 1\r\n" + std::string(second) + ": 2\r\n\r\n");
      rejects(get + std::string(first) + ": 1\r\nA: b\r\n" + std::string(second) + ": 2\r\n" +
              std::string(first) + ": 3\r\n\r\n");
    }
  }
}

TEST_CASE("host, path and query come from the target") {
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

TEST_CASE("the client decides whether the connection is kept") {
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
  kept("GET / HTTP/1.2\r\nHost: x\r\n\r\n", true);
  for (char const* options :
       {"close\t", "\tCLOSE", "keep-alive, close", "x,\tclose\t,y", ",close", "close, ,"}) {
    kept(get + "Connection: " + options + "\r\n\r\n", false);
    kept("GET / HTTP/1.0\r\nConnection: keep-alive,"s + options + "\r\n\r\n", false);
  }
  kept(get + "Connection: x\r\nConnection: close\r\n\r\n", false);
  kept(get + "Connection: closed, x-close, \r\n\r\n", true);
  kept("GET / HTTP/1.0\r\nConnection: upgrade,\tKeep-Alive\t\r\n\r\n", true);
  kept("GET / HTTP/1.0\r\nConnection: keep-alived\r\n\r\n", false);
}

TEST_CASE("a request that offers an upgrade is an ordinary request") {
  both_ways(get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET", [](parsing& p) {
    CHECK(p.last.what == http_parser::state::complete);
    CHECK(p.header("upgrade") == "websocket");
  });
}

TEST_CASE("requests with an ambiguous length are rejected") {
  for (std::string const& headers :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"s,
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"s,
        "Content-Length: 5\r\nContent-Length: 5\r\n"s,
        "Content-Length: 5\r\nContent-Length: 6\r\n"s,
        "Content-Length: 5, 5\r\n"s,
        "Content-Length: +5\r\n"s,
        "Content-Length: -5\r\n"s,
        "Content-Length: 0x5\r\n"s,
        "Content-Length: 5 5\r\n"s,
        "Content-Length:\r\n"s,
        "Content-Length: 99999999999999999999\r\n"s,
        "Content-Length: 9223372036854775808\r\n"s,
        "Transfer-Encoding:\r\n"s,
        "Transfer-Encoding: ,\r\n"s,
        "Transfer-Encoding: chunked, gzip\r\n"s,
        "Transfer-Encoding: chunked, chunked\r\n"s,
        "Transfer-Encoding: gzip, chunked,\t chunked\r\n"s,
        "Transfer-Encoding: chunked;a=b\r\n"s,
        "Transfer-Encoding: \"chunked\"\r\n"s,
        "Transfer-Encoding: \vchunked\r\n"s,
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"s,
        "Content_Length: 5\r\n"s,
        "Transfer_Encoding: chunked\r\n"s,
        "Content-Length : 5\r\n"s}) {
    rejects(post + headers + "\r\n0\r\n\r\n");
  }
  rejects("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  rejects(post + "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\nhello");
}

TEST_CASE("transfer codings other than chunked get 501") {
  for (char const* codings : {"identity", "gzip", "xchunked", "gzip, chunked",
                              "GZIP ,\tChunked", "br;q=1, chunked", "a, b, c"}) {
    rejects(post + "Transfer-Encoding: " + codings + "\r\n\r\n0\r\n\r\n", 501);
  }
}

TEST_CASE("chunked is recognised in every spelling that a list allows") {
  for (char const* codings : {"chunked", "CHUNKED", "chunked\t", "\t chunked \t", "chunked,",
                              ", ,\t,chunked", "chunked , ,"}) {
    both_ways(post + "Transfer-Encoding: " + codings + "\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET",
              [&](parsing& p) {
                CAPTURE(codings);
                CHECK(p.last.what == http_parser::state::complete);
                CHECK(p.head.unknown_length);
                CHECK(p.body == "hello");
              });
  }
}

TEST_CASE("names and values with invalid characters are rejected") {
  for (std::string const& header :
       {"A : b"s, "A\t: b"s, ": b"s, "A"s, "A{}: b"s, "A\xC3\xA4: b"s, "A\0: b"s, "A: b\0c"s,
        "A: b\x01"s, "A: b\x7f"s, "X-A: 1\r\nX_A: 2"s, "X_A: 1\r\nX-A: 2"s}) {
    rejects(get + header + "\r\n\r\n");
  }
}

TEST_CASE("a request without exactly one valid host is rejected") {
  rejects("GET / HTTP/1.1\r\n\r\n");
  for (char const* host : {"", " ", "a\r\nHost: a", "a b", "a/b", "u@b", "a,b c", "[::1", "a:b",
                           "a:123456", "a:65536", ":80", "a%zz", "[::g]", "[1::2::3]"}) {
    std::string const header = "Host: "s + host + "\r\n\r\n";
    rejects("GET / HTTP/1.1\r\n" + header);
    rejects("GET / HTTP/1.0\r\n" + header);
    // The target's host replaces the header's, which must be valid nevertheless.
    rejects("GET http://x/ HTTP/1.1\r\n" + header);
  }
}

TEST_CASE("the host of a URL replaces that of the header") {
  both_ways("GET http://x:0081/p HTTP/1.1\r\nHost: other:99\r\n\r\n", [](parsing& p) {
    CHECK(p.head.host() == "x:0081");
    CHECK(p.head.host_name() == "x");
    CHECK(p.head.host_port() == "81");
  });
  both_ways("GET http://x/p HTTP/1.1\r\nHost: other:99\r\n\r\n", [](parsing& p) {
    CHECK(p.head.host() == "x");
    CHECK(p.head.host_port() == "");
  });
}

TEST_CASE("exactly the tokens are methods") {
  for (char const* method : {"GET", "QUERY", "get", "M-SEARCH", "PRI", "SOURCE", "FLUSH", "X",
                             "!#$%&'*+-.^_`|~09azAZ", "UNHEARDOF"}) {
    both_ways(method + " /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"s,
              [&](parsing& p) {
                CHECK(p.last.what == http_parser::state::complete);
                CHECK(p.head.method() == method);
                CHECK(p.body == "ab");
              });
  }
  for (std::string const& method :
       {"G\0T"s, "G(T"s, "G\x7fT"s, "G\xC3\xA4T"s, "G\tT"s, "\"GET\""s, "@"s}) {
    rejects(method + " / HTTP/1.1\r\nHost: x\r\n\r\n");
  }
}

TEST_CASE("methods with a special meaning in llhttp are ordinary methods") {
  for (char const* method : {"PRI", "SOURCE", "DESCRIBE", "HEAD", "TRACE"}) {
    both_ways(method + " / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n"s +
                  "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
              [](parsing& p) {
                CHECK(p.last.what == http_parser::state::complete);
                CHECK(p.body == "ab");
              });
  }
}

TEST_CASE("invalid request lines are rejected") {
  for (char const* line : {"GET /",
                           "GET / FTP/1.1",
                           "GET / RTSP/1.0",
                           " / HTTP/1.1",
                           "GET HTTP/1.1",
                           "GET",
                           "GET /a b HTTP/1.1",
                           "GET /a#b HTTP/1.1",
                           "GET a HTTP/1.1",
                           "GET / HTTP/1.1 ",
                           "GET / HTTP/1",
                           "GET / http/1.1",
                           "GET / HTTP/1.10",
                           "GET / HTTP/1.x",
                           "GET / HTTP/ 1.1",
                           "GET / HTTP/1,1",
                           "GET /\xff HTTP/1.1",
                           "GET /\r HTTP/1.1",
                           "GET\t/ HTTP/1.1",
                           "\rGET / HTTP/1.1",
                           "GET / HTTP/1.1\r"}) {
    rejects(line + "\r\nHost: x\r\n\r\n"s);
  }
  for (char const* version : {"0.9", "2.0", "2.1", "3.0", "9.9", "0.0"}) {
    rejects("GET / HTTP/"s + version + "\r\nHost: x\r\n\r\n", 505);
  }
  for (char const* target : {"x:80", "/", "*", "anything"}) {
    rejects("CONNECT "s + target + " HTTP/1.1\r\nHost: x\r\n\r\n", 501);
  }
}

TEST_CASE("later versions of HTTP/1 are treated as HTTP/1.1") {
  for (char const minor : "123456789"s) {
    both_ways("GET / HTTP/1."s + minor + "\r\nHost: x\r\n\r\n", [](parsing& p) {
      CHECK(p.last.what == http_parser::state::complete);
      CHECK(p.head.version == kino::server::http_version::http_1_1);
    });
  }
}

TEST_CASE("a target is a path, an http URL, or an asterisk for OPTIONS") {
  for (char const* target : {"*",
                             "a",
                             "a/b",
                             "//",
                             "x:80",
                             "ftp://x/",
                             "http:/x",
                             "http://",
                             "http:///p",
                             "http://u@x/",
                             "http://x:y/",
                             "http://x:65536/",
                             "http://[::1/",
                             "://x/",
                             "/%",
                             "/%a",
                             "/%ag",
                             "/p?%",
                             "/a\"\x80",
                             "http://x/%zz"}) {
    bool const sound = target == "//"sv;
    (sound ? accepts : [](std::string_view bytes) { rejects(bytes); })(
        "GET "s + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  auto const path = [](std::string const& line, std::string const& expected) {
    both_ways(line + " HTTP/1.1\r\nHost: y\r\n\r\n",
              [&](parsing& p) { CHECK(p.head.path() == expected); });
  };
  path("OPTIONS *", "*");
  path("OPTIONS http://x", "*");
  path("OPTIONS http://x/", "/");
  path("OPTIONS http://x?", "/");
  path("GET HTTPS://x", "/");
  path("GET http://x?", "/");
  path("GET /a[]{}|^`\\\"<>%20", "/a[]{}|^`\\\"<>%20");
}

TEST_CASE("Expect is a list, and unknown expectations get 417") {
  auto const expects = [](std::string const& list, bool expected, char const* version = "1.1") {
    both_ways("POST / HTTP/"s + version + "\r\nHost: x\r\nExpect: " + list +
                  "\r\nContent-Length: 1\r\n\r\na",
              [&](parsing& p) {
                CHECK(p.last.what == http_parser::state::complete);
                CHECK(p.head.expects_continue == expected);
              });
  };
  expects("100-continue", true);
  expects("100-Continue\t", true);
  expects(",\t100-continue, 100-CONTINUE", true);
  expects("", false);
  expects(", ,", false);
  expects("100-continue", false, "1.0");
  for (char const* list : {"something", "100-continue, x", "x, 100-continue", "100-continue=1",
                           "100-continue;a=b"}) {
    rejects(post + "Expect: " + list + "\r\nContent-Length: 1\r\n\r\na", 417);
  }
}

TEST_CASE("TE states whether the client accepts trailers") {
  auto const takes = [](std::string const& fields, bool expected) {
    both_ways(get + fields + "\r\n", [expected](parsing& p) { CHECK(p.head.accepts_trailers == expected); });
  };
  takes("", false);
  takes("TE: trailers\r\n", true);
  takes("te: gzip;q=0.5,\tTrailers\r\n", true);
  takes("TE: gzip\r\nTE: trailers\r\n", true);
  takes("TE: trailer, gzip\r\n", false);
  takes("TEA: trailers\r\n", false);
}

TEST_CASE("the parts of a request line are separated by exactly one space") {
  rejects("GET  / HTTP/1.1\r\nHost: x\r\n\r\n");
  rejects("GET /  HTTP/1.1\r\nHost: x\r\n\r\n");
  rejects("GET / HTTP/1.1 \r\nHost: x\r\n\r\n");
  accepts("\r\n" + get + "X: a  b \r\n\r\n");
}

namespace {

// Fills a request as HTTP/2 does: names in lower case, the host apart from the fields.
void fill_as_http2(request& into, std::string_view path, std::string_view authority) {
  into.clear();
  into.version = kino::server::http_version::http_2;
  into.append_text("GET");
  into.append_text(path);
  into.append_text(authority);
  into.set_method(into.text().substr(0, 3));
  kino::server::request_target target;
  REQUIRE(!kino::server::request_target::parse(into.method(), into.text().substr(3, path.size()), target));
  auto const host = kino::server::authority::parse(into.text().substr(3 + path.size()));
  if (host) into.set_host(into.text().substr(3 + path.size()), *host);
  into.set_target(target);
}

}  // namespace

TEST_CASE("a request of HTTP/2 has the same parts") {
  request head;
  fill_as_http2(head, "/p?q", "example.org:81");
  head.fields().add("cookie", "a=b");
  head.fields().add("x-one", "1");
  head.fields().add("cookie", "c=d");
  head.fields().add("content-length", "7");
  REQUIRE(!head.finish());
  CHECK(head.method() == "GET");
  CHECK(head.path() == "/p");
  CHECK(head.query() == "q");
  CHECK(head.host() == "example.org:81");
  CHECK(head.host_name() == "example.org");
  CHECK(head.host_port() == "81");
  CHECK(head.content_length == 7);
  auto const& cookie = *head.fields().find(kino::server::known_field::cookie);
  std::string joined(head.fields().joined_size(cookie), '\0');
  head.fields().copy_joined(cookie, joined.data());
  CHECK(joined == "a=b; c=d");
}

TEST_CASE("the host of HTTP/2 is that of :authority, and Host may only repeat it") {
  struct given {
    std::string_view authority;
    char const* field;
    int status;
    std::string_view host;
  };
  for (given const& one : {given{"x", nullptr, 0, "x"}, given{"x", "X", 0, "x"}, given{"", "y:1", 0, "y:1"},
                           given{"x", "y", 400, "x"}, given{"x:1", "x", 400, "x:1"}, given{"", nullptr, 400, ""},
                           given{"x", "x y", 400, "x"}}) {
    request head;
    fill_as_http2(head, "/", one.authority);
    if (one.field) head.fields().add("host", one.field);
    CAPTURE(one.authority);
    CHECK(head.finish().status == one.status);
    CHECK(head.host() == one.host);
  }
}
