// SPDX-License-Identifier: MIT

#include "http1/http_parser.hpp"

#include "../support/parsing.hpp"

#include <doctest/doctest.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

using namespace parsing_tests;
using namespace std::string_literals;
using namespace std::string_view_literals;

TEST_CASE("a request line and fields become method, target and fields") {
  both_ways(
      "PATCH /a/b?c=d&e HTTP/1.1\r\nHost: example.org:8080\r\nX-Some-Thing: some value \t\r\n"
      "content-type: text/plain\r\nX-Empty:\r\n\r\n",
      [](parsing& p) {
        CHECK(p.last.what == http_parser::state::complete);
        CHECK(p.head.method() == "PATCH");
        CHECK(p.head.path() == "/a/b");
        CHECK(p.head.query() == "c=d&e");
        CHECK(p.head.host_name() == "example.org");
        CHECK(p.head.host_port() == "8080");
        CHECK(p.header("x-some-thing") == "some value");
        CHECK(p.header("content-type") == "text/plain");
        CHECK(p.header("x-empty") == "");
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

TEST_CASE("chunks are put together, extensions left out, and trailers kept apart") {
  both_ways(chunked + "5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\nGET",
            [](parsing& p) {
              CHECK(p.last.what == http_parser::state::complete);
              CHECK(p.body == "hello world");
              CHECK(p.header("x-trailer") == "(none)");
              CHECK(p.trailer("x-trailer") == "1");
              CHECK(p.head.unknown_length);
            });
}

TEST_CASE("what is unusual and sound is accepted") {
  for (std::string const& bytes :
       {"\r\n\r\n" + get + "\r\n", get + "X-A: a\tb\r\n\r\n", get + "X-A: \xC3\xA4\r\n\r\n",
        get + "X!#$%&'*+.^`|~: 1\r\n\r\n", get + "X_A: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhOsT: x\r\n\r\n"s, "GET / HTTP/1.1\r\nHost: a:\r\n\r\n"s,
        post + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        post + "Content-Length: 007\r\n\r\nabcdefg",
        chunked + "0A\r\n0123456789\r\n000\r\n\r\n"}) {
    accepts(bytes);
  }
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
  for (char const* size :
       {"g", "0x1", "-1", "+1", " 1", "1 ", "1\t", "", "10000000000000001"}) {
    rejects(chunked + size + "\r\na\r\n0\r\n\r\n");
  }
  rejects(chunked + "1\r\nab\r\n0\r\n\r\n");
  rejects(chunked + "1\r\na\r0\r\n\r\n");
}

TEST_CASE("chunk extensions are accepted as the grammar has them") {
  for (char const* extensions :
       {";a=b;c=d", ";a=\"\\\"\";b", " ; a = b", ";a=\"x\ty;z\" ;b", ";name=value;flag"}) {
    both_ways(chunked + "5" + extensions + "\r\nhello\r\n0" + extensions + "\r\n\r\n",
              [](parsing& p) {
                CHECK(p.last.what == http_parser::state::complete);
                CHECK(p.body == "hello");
              });
  }
  for (char const* extensions : {";", ";;a", ";a=", ";a b", ";a ", ";a=\"b\"c"}) {
    rejects(chunked + "5" + extensions + "\r\nhello\r\n0\r\n\r\n");
  }
}

TEST_CASE("whitespace of both kinds may surround every value") {
  both_ways(post + "Content-Length:\t5 \t\r\nConnection: \tclose\t\r\n\r\nhello",
            [](parsing& p) {
              CHECK(p.last.what == http_parser::state::complete);
              CHECK(p.body == "hello");
              CHECK(p.header("content-length") == "5");
              CHECK(!p.head.keep_alive);
            });
  accepts(post + "Transfer-Encoding:\tchunked \t\r\n\r\n0\r\n\r\n");
  for (char const* length :
       {"5\t5", "5 5", "\t", " ", "", "+5", "-5", "5,", "0x5", "\v5", "5\f"}) {
    rejects(post + "Content-Length: " + length + "\r\n\r\nhello");
  }
}

TEST_CASE("a trailer has no meaning, whatever its name") {
  for (char const* trailer :
       {"Content-Length: 5", "Content-Length: x", "Transfer-Encoding: chunked",
        "Connection: upgrade", "Upgrade: h2c", "Host: y"}) {
    both_ways(chunked + "1\r\na\r\n0\r\n" + trailer + "\r\n\r\n" + get + "\r\n",
              [&](parsing& p) {
                CHECK(p.last.what == http_parser::state::complete);
                CHECK(p.body == "a");
                CHECK(p.consumed == chunked.size() + 9 + std::string_view(trailer).size() + 4);
                CHECK(p.head.keep_alive);
              });
  }
}

TEST_CASE("a trailer without a name is rejected like a header without one") {
  rejects(chunked + "0\r\n: b\r\n\r\n");
  rejects(chunked + "0\r\nA: b\r\n: c\r\n\r\n");
  rejects(get + ": b\r\n\r\n");
}

TEST_CASE("trailers follow the rules of fields, and those that may be none are dropped") {
  both_ways(chunked + "0\r\nA: b \t\r\nHost: evil\r\nCONTENT_LENGTH: 5\r\nTransfer-Encoding: chunked\r\na: c\r\n"
                      "Authorization: x\r\ncookie: d\r\nX_Y: 1\r\n\r\nGET",
            [](parsing& p) {
              CHECK(p.last.what == http_parser::state::complete);
              CHECK(p.head.trailers().all().size() == 3);
              CHECK(p.trailer("A") == "b, c");
              CHECK(p.trailer("x-y") == "1");
              CHECK(p.header("host") == "x");
              CHECK(!p.head.content_length);
            });
  for (std::string const& lines : {"a b: c\r\n"s, "a : c\r\n"s, "a\r\n"s, "a: \x01\r\n"s, "a: b\0\r\n"s, "a-b: 1\r\na_b: 2\r\n"s,
                                   "\xC3\xA4: b\r\n"s, "a: b\r\n c\r\n"s, ": host\r\n"s}) {
    rejects(chunked + "0\r\n" + lines + "\r\n");
  }
}

TEST_CASE("random trailers come as they were sent, without those that may be none") {
  std::mt19937 random(3);
  static constexpr std::string_view kept[] = {"x-a", "X-b", "Grpc-Status", "server-timing", "e_tag", "t", "hosts"};
  static constexpr std::string_view dropped[] = {"Host", "content-length", "Transfer_Encoding", "TE", "Set-Cookie", "IF-MATCH"};
  static constexpr std::string_view values[] = {"", "0", "a, b", "chunked", "\xff", "a\tb"};
  std::size_t seen = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string lines;
    std::string expected;
    for (std::size_t left = random() % 12; left != 0; --left) {
      bool const good = random() % 2;
      std::string const name(good ? kept[random() % std::size(kept)] : dropped[random() % std::size(dropped)]);
      std::string const value(values[random() % std::size(values)]);
      lines += name + ":" + std::string(random() % 3, ' ') + value + std::string(random() % 2, '\t') + "\r\n";
      if (good) expected += name + "=" + value + ";";
    }
    parsing p;
    p.parse(chunked + "3\r\nabc\r\n0\r\n" + lines + "\r\nGET", 1 + random() % 100);
    CAPTURE(lines);
    REQUIRE(p.last.what == http_parser::state::complete);
    REQUIRE(p.body == "abc");
    std::string found;
    for (auto const& each : p.head.trailers().all()) {
      found += std::string(p.head.trailers().name(each)) + "=" + std::string(p.head.trailers().value(each)) + ";";
    }
    REQUIRE(found == expected);
    REQUIRE(p.head.fields().all().size() == 2);
    seen += p.head.trailers().all().size();
  }
  CHECK(seen > 5000);
}

TEST_CASE("trailers of one request are not those of the next") {
  parsing p;
  p.parse(chunked + "0\r\nA: b\r\n\r\n", 1000);
  CHECK(p.trailer("a") == "b");
  p.parse(chunked + "0\r\n\r\n", 1000);
  CHECK(p.last.what == http_parser::state::complete);
  CHECK(p.trailer("a") == "(none)");
}

TEST_CASE("a chunk that would make the body too large is rejected before its bytes arrive") {
  std::uint64_t const most = limits().max_body_size;
  auto const hexadecimal = [](std::uint64_t number) {
    std::array<char, 16> digits;
    char* const end = std::to_chars(digits.begin(), digits.end(), number, 16).ptr;
    return std::string(digits.begin(), end);
  };
  for (std::string const& size :
       {hexadecimal(most + 1), "7fffffffffffffff"s, "8000000000000000"s, "ffffffffffffffff"s}) {
    rejects(chunked + size + "\r\n", 413);
  }
  rejects(chunked + "1\r\na\r\n" + hexadecimal(most) + "\r\n", 413);
  rejects(chunked + "1\r\na\r\nffffffffffffffff\r\n", 413);
  both_ways(chunked + hexadecimal(most) + "\r\n",
            [](parsing& p) { CHECK(p.last.what == http_parser::state::incomplete); });
}

TEST_CASE("what cannot begin a request is rejected before its line ends") {
  both_ways("\x16\x03\x01", [](parsing& p) { CHECK(p.parser.why().status == 400); });
  both_ways("\r\n\r\n\x16", [](parsing& p) { CHECK(p.parser.why().status == 400); });
}

TEST_CASE("a head beyond its limit is rejected with 431, with the limit and what was seen") {
  for (std::string const& bytes :
       {get + "A: " + std::string(header_limit, 'x') + "\r\n\r\n",
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

TEST_CASE("a target beyond the limit of a head is rejected with 414") {
  both_ways("GET /" + std::string(header_limit, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n",
            [](parsing& p) {
              CHECK(p.parser.why().status == 414);
              CHECK(p.parser.why().limit == header_limit);
              CHECK(p.parser.why().value > header_limit);
            });
}

TEST_CASE("a method beyond the limit of a head is rejected with 501") {
  rejects(std::string(header_limit + 1, 'G'), 501);
  rejects(std::string(header_limit + 1, 'G') + " / HTTP/1.1\r\nHost: x\r\n\r\n", 501);
}

TEST_CASE("more fields than the limit are rejected with 431, also in trailers") {
  auto const fields = [](std::size_t count) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) lines += "a:\r\n";
    return lines;
  };
  accepts(get + fields(limits().max_header_fields - 1) + "\r\n");
  accepts(chunked + "0\r\n" + fields(limits().max_header_fields) + "\r\n");
  for (std::string const& bytes :
       {get + fields(limits().max_header_fields) + "\r\n",
        chunked + "0\r\n" + fields(limits().max_header_fields + 1) + "\r\n"}) {
    both_ways(bytes, [](parsing& p) {
      CHECK(p.parser.why().status == 431);
      CHECK(p.parser.why().limit == limits().max_header_fields);
      CHECK(p.parser.why().value > limits().max_header_fields);
    });
  }
}

TEST_CASE("what is not body in chunks is limited, however it is spelled") {
  std::string zeros(header_limit + 100, '0');
  std::string many;
  for (std::size_t i = 0; i < header_limit / 50; ++i)
    many += "1;" + std::string(80, 'x') + "\r\na\r\n";
  for (std::string const& bytes :
       {chunked + zeros, chunked + zeros + "1\r\na\r\n0\r\n\r\n", chunked + "1;" + zeros,
        chunked + "1;a=\"" + zeros, chunked + many}) {
    both_ways(bytes, [](parsing& p) {
      CHECK(p.last.what == http_parser::state::rejected);
      CHECK(p.parser.why().status == 400);
      CHECK(p.parser.why().limit == header_limit);
    });
  }
  std::string small;
  for (std::size_t i = 0; i < 2 * header_limit; ++i) small += "0000000000000001\r\na\r\n";
  accepts(chunked + small + "0\r\n\r\n");
}

TEST_CASE("nothing of a request that was cut off is left to the next one") {
  for (std::string const& whole :
       {post + "X-Some: thing\r\nContent-Length: 5\r\n\r\nhello",
        chunked + "2;a=\"b\"\r\nab\r\n1\r\na\r\n0\r\nX-Some: thing\r\n\r\n"}) {
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      CAPTURE(whole);
      CAPTURE(cut);
      parsing p;
      p.parse(std::string_view(whole).substr(0, cut), 7);
      p.parse(get + "X-Other: value\r\n\r\n", 1000);
      REQUIRE(p.last.what == http_parser::state::complete);
      CHECK(p.head.method() == "GET");
      CHECK(p.head.fields().all().size() == 2);
      CHECK(p.header("x-other") == "value");
      CHECK(p.body.empty());
      p.parse(chunked + "2\r\nab\r\n0\r\n\r\n", 1000);
      REQUIRE(p.last.what == http_parser::state::complete);
      CHECK(p.body == "ab");
    }
  }
}

TEST_CASE("a rejection by on_head ends the parsing") {
  struct refusing final : parsing {
    rejection on_head() override { return {413, "too much", 1, 2}; }
  } p;
  p.parse(post + "Content-Length: 2\r\n\r\nab", 1000);
  CHECK(p.last.what == http_parser::state::rejected);
  CHECK(p.parser.why().status == 413);
  CHECK(p.body.empty());
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
