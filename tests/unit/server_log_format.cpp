// SPDX-License-Identifier: MIT

#include "observers/log_format.hpp"

#include "http/exchange.hpp"
#include "http/grammar.hpp"
#include "http1/http_parser.hpp"

#include "../support/null_sink.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace kino::server;
using namespace std::chrono_literals;
using namespace std::string_view_literals;
using null_sink_test::null_sink;

namespace {

// 2026-11-27 07:10:01.250 UTC
constexpr std::chrono::system_clock::time_point now{1'795'763'401'250ms};

struct accepting final : http_parser::sink {
  virtual ~accepting() = default;
  rejection on_head() override { return {}; }
  rejection on_body(std::string_view) override { return {}; }
};

// An exchange with the report of its end.
struct ended {
  explicit ended(std::string const& bytes, endpoint peer = {"192.0.2.1", "54321"}, endpoint local = {})
      : sink(std::move(peer), std::move(local)) {
    accepting events;
    limits const limit;
    http_parser parser(events, limit);
    parser.start(subject.head());
    static_cast<void>(parser.parse(bytes));
    clock::time_point const start{1000s};
    report.started = start;
    report.ready = start + 1ms;
    report.taken = start + 3ms;
    report.answered = start + 1s;
    report.ended = start + 2500ms;
  }

  std::string line(std::string_view format, bool color = false) const {
    line_buffer made;
    log_format(format, color).append(made, report, now);
    return std::string(made.text());
  }

  exchange_pool::owner pool = exchange_pool::make();
  null_sink sink;
  exchange::reply reply{pool->acquire(sink)};
  exchange& subject = exchange::of(reply);
  exchange_report report{subject, exchange_end::complete, 200, 5, 13, {}, {}, {}, {}, {}};
};

std::string const get = "GET /a?b=c HTTP/1.1\r\nHost: example.org:80\r\nReferer: https://x/y\r\nUser-Agent: A (b) \"c\"\r\n\r\n";

// Reads one flat object of JSON as strictly as its grammar is: its keys, or none if it is invalid.
std::optional<std::vector<std::string>> json_keys(std::string_view text) {
  std::size_t at = 0;
  auto const eat = [&](std::string_view expected) {
    if (text.substr(at, expected.size()) != expected) return false;
    at += expected.size();
    return true;
  };
  auto const string = [&](std::string& out) {
    if (!eat("\"")) return false;
    for (; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] < 0x20 || text[at] == 0x7f) return false;
      out += text[at];
      if (text[at] != '\\') continue;
      if (++at == text.size()) return false;
      if (text[at] != 'u') {
        if (text[at] != '"' && text[at] != '\\') return false;
        continue;
      }
      if (text.size() - at < 5 || !std::all_of(&text[at + 1], &text[at + 5], [](char c) { return grammar::is_hex_digit(c); })) return false;
      at += 4;
    }
    return eat("\"");
  };
  auto const number = [&] {
    std::size_t const start = at;
    while (at < text.size() && ((text[at] >= '0' && text[at] <= '9') || text[at] == '.')) ++at;
    return at != start;
  };
  std::vector<std::string> keys;
  if (!eat("{")) return std::nullopt;
  do {
    std::string ignored;
    if (!string(keys.emplace_back()) || !eat(":")) return std::nullopt;
    if (!eat("null") && !string(ignored) && !number()) return std::nullopt;
  } while (eat(","));
  if (!eat("}\n") || at != text.size()) return std::nullopt;
  return keys;
}

bool is_one_line(std::string_view line) {
  return line.ends_with('\n') && std::all_of(line.begin(), line.end() - 1, [](char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace

TEST_CASE("common and combined are those of Apache and nginx") {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  ended const one(get);
  CHECK(one.line("common") == "192.0.2.1 - - [27/Nov/2026:07:10:01 +0000] \"GET /a?b=c HTTP/1.1\" 200 13\n");
  CHECK(one.line("combined") ==
        "192.0.2.1 - - [27/Nov/2026:07:10:01 +0000] \"GET /a?b=c HTTP/1.1\" 200 13 \"https://x/y\" \"A (b) \\x22c\\x22\"\n");
}

TEST_CASE("json has every time, and null for what is not known") {
  CHECK(ended(get, {"::1", "1"}, {"::1", "2", true}).line("json") ==
        R"({"time":"2026-11-27T07:10:01.250Z","remote_addr":"::1","remote_port":1,"method":"GET","target":"/a?b=c",)"
        R"("protocol":"HTTP/1.1","scheme":"https","host":"example.org:80","status":200,"end":"complete","request_bytes":5,)"
        R"("response_bytes":13,"receive_time":0.001000,"queue_time":0.002000,"app_time":0.997000,"first_byte_time":1.000000,)"
        R"("total_time":2.500000,"request_id":null,"referer":"https://x/y","user_agent":"A (b) \"c\""})"
        "\n");
  ended refused("\x01 nonsense\r\n\r\n", {});
  refused.report.how = exchange_end::refused;
  refused.report.status = 400;
  refused.report.ready = refused.report.taken = {};
  CHECK(refused.line("json") ==
        R"({"time":"2026-11-27T07:10:01.250Z","remote_addr":null,"remote_port":null,"method":null,"target":null,)"
        R"("protocol":"HTTP/1.1","scheme":"http","host":null,"status":400,"end":"refused","request_bytes":5,)"
        R"("response_bytes":13,"receive_time":null,"queue_time":null,"app_time":null,"first_byte_time":1.000000,)"
        R"("total_time":2.500000,"request_id":null,"referer":null,"user_agent":null})"
        "\n");
  CHECK(refused.line("$request $remote_addr|$queue_time") == "- -|-\n");
}

TEST_CASE("json takes further fields") {
  std::string const line = ended("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.8\r\n\r\n")
                               .line("json $http_x_forwarded_for  $http_x_none ");
  CHECK(line.ends_with(R"(,"http_x_forwarded_for":"192.0.2.7, 192.0.2.8","http_x_none":null})"
                       "\n"));
  CHECK(json_keys(line));
}

TEST_CASE("a format string has text and fields, also by the names that nginx gives them") {
  ended const one(get);
  CHECK(one.line("$$ $method ${path}x $query $protocol $host$$") == "$ GET /ax b=c HTTP/1.1 example.org:80$\n");
  CHECK(one.line("$request_method $request_uri $uri $args $body_bytes_sent $request_time $http_user_agent") ==
        "GET /a?b=c /a b=c 13 2.500000 A (b) \\x22c\\x22\n");
  CHECK(one.line("$http_referer $http_host $http_x_unsent $tls_client $remote_user") == "https://x/y example.org:80 - - -\n");
}

TEST_CASE("an invalid format is refused with a sentence that names the mistake") {
  auto const refusal = [](std::string_view format) -> std::string {
    try {
      log_format const made(format);
    } catch (std::invalid_argument const& e) {
      return e.what();
    }
    return {};
  };
  CHECK(refusal("combind").find("\"combind\" is none of common, combined and json") != std::string::npos);
  CHECK(refusal("$stat").find("unknown field $stat; fields are $time $time_local") != std::string::npos);
  CHECK(refusal("$http_").find("unknown field $http_") != std::string::npos);
  for (std::string_view const wrong : {"$", "a $ b", "${status", "${}", "$-", "$Status"}) CHECK(refusal(wrong).find("$$") != std::string::npos);
  CHECK(refusal("$status\n").find("control character") != std::string::npos);
  CHECK(refusal("json status").find("\"status\" behind \"json\"") != std::string::npos);
  for (std::string_view const secret : {"$http_cookie", "$http_authorization", "$http_x_api_key", "json $http_proxy_authorization"}) {
    CAPTURE(secret);
    CHECK(refusal(secret).find("never logged") != std::string::npos);
  }
}

TEST_CASE("a response that was not begun has the status 499, and a request without a worker the time it waited") {
  ended gone(get);
  gone.report.how = exchange_end::disconnected;
  gone.report.status = 0;
  gone.report.taken = gone.report.answered = {};
  CHECK(gone.line("$status $end $queue_time $app_time $first_byte_time") == "499 disconnected 2.499000 - -\n");
  gone.report.taken = gone.report.ready + 1s;
  CHECK(gone.line("$queue_time $app_time") == "1.000000 1.499000\n");
  ended expired(get);
  expired.report.how = exchange_end::expired;
  expired.report.status = 503;
  expired.report.taken = {};
  CHECK(expired.line("$status $end $queue_time $app_time") == "503 expired 0.999000 -\n");
}

TEST_CASE("a request id is that of the client, if it is a sane one") {
  auto const id = [](std::string const& value) { return ended("GET / HTTP/1.1\r\nHost: x\r\nx-request-id: " + value + "\r\n\r\n").line("$request_id"); };
  CHECK(id("0f1e-AB_c.d:e+f/g=") == "0f1e-AB_c.d:e+f/g=\n");
  CHECK(id(std::string(128, 'a')) == std::string(128, 'a') + "\n");
  CHECK(id(std::string(129, 'a')) == "-\n");
  CHECK(id("a b") == "-\n");
  CHECK(id("a\"") == "-\n");
  CHECK(id("") == "-\n");
}

TEST_CASE("only a status is coloured, by its class, and never in json") {
  ended one(get);
  for (auto const& [status, code] : {std::pair{200, "32"}, {302, "36"}, {404, "33"}, {503, "31"}}) {
    one.report.status = status;
    CHECK(one.line("$status $method", true) == "\x1b[" + std::string(code) + "m" + std::to_string(status) + "\x1b[0m GET\n");
    CHECK(is_one_line(one.line("json", true)));
  }
}

TEST_CASE("long values are cut") {
  ended const one("GET /" + std::string(10'000, 'p') + " HTTP/1.1\r\nHost: x\r\nUser-Agent: " + std::string(10'000, '"') + "\r\n\r\n");
  CHECK(one.line("$target") == "/" + std::string(log_format::longest_value - 1, 'p') + "...\n");
  CHECK(one.line("$user_agent").size() == 4 * log_format::longest_value + 4);
  CHECK(one.line("combined").find("...\"") != std::string::npos);
  CHECK(json_keys(one.line("json")));
}

TEST_CASE("valid UTF-8 is kept by json, other bytes are replaced") {
  auto const agent = [](std::string const& bytes) { return ended("GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: " + bytes + "\r\n\r\n").line("json"); };
  auto const has = [](std::string const& line, std::string const& value) { return line.find("\"user_agent\":\"" + value + "\"}") != std::string::npos; };
  CHECK(has(agent("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\\u00e9\\u20ac\\ud83d\\ude00"));
  CHECK(has(agent("a\xff\xc3"), "a\\ufffd\\ufffd"));
  CHECK(has(agent("\xc0\xaf"), "\\ufffd\\ufffd"));              // too long for its character
  CHECK(has(agent("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd"));  // a surrogate
  CHECK(has(agent("\xf4\x90\x80\x80"), "\\ufffd\\ufffd\\ufffd\\ufffd"));
  CHECK(has(agent("\xc2\x9b"), "\\u009b"));  // a control character of terminals
}

TEST_CASE("whatever a client sends, a line is one line with the fields of its format, without its credentials") {
  std::mt19937 random(4711);
  bool allowed = false;
  auto const bytes = [&](std::size_t most) {
    // Any byte, but above all those with a meaning; in some rounds only what HTTP allows in a value.
    static constexpr std::string_view special = "\"\\\n\r\t\0\x1b\x7f\x80\xc2\x9b\xe2\x80\xa8 []$?&="sv;
    std::string made;
    for (std::size_t i = 0, size = random() % most; i < size; ++i) {
      char const next = random() % 2 != 0 ? special[random() % special.size()] : static_cast<char>(random());
      made += allowed && !grammar::in_value(next) ? 'a' : next;
    }
    return made;
  };
  auto const expected = json_keys(ended(get).line("json $http_x_any"));
  REQUIRE(expected);
  int complete = 0;
  for (int round = 0; round < 3000; ++round) {
    allowed = random() % 2 != 0;
    std::string const target = random() % 4 == 0 ? bytes(60) : "/?password=SECRET" + std::string(random() % 2 != 0 ? "&a=%22" : "#");
    std::string const from = random() % 4 == 0 ? "http://u:SECRET@x/?code=SECRET" : bytes(40);
    ended one("GET " + target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer SECRET\r\nCookie: a=SECRET\r\nX-Any: " + bytes(40) +
                  "\r\nReferer: " + from + "\r\nUser-Agent: " + bytes(40) + "\r\nX-Request-Id: " + bytes(10) + "\r\n\r\n",
              {});
    complete += one.subject.head().fields().all().size() >= 7 ? 1 : 0;
    for (std::string_view const format : {"combined", "common", "$target $referer $http_x_any $query $host"}) {
      std::string const line = one.line(format);
      CAPTURE(line);
      REQUIRE(is_one_line(line));
      REQUIRE(line.find("SECRET") == std::string::npos);
      if (format == "combined") REQUIRE(std::count(line.begin(), line.end(), '"') == 6);
    }
    std::string const line = one.line("json $http_x_any");
    CAPTURE(line);
    REQUIRE(json_keys(line) == expected);
    REQUIRE(line.find("SECRET") == std::string::npos);
  }
  CHECK(complete > 100);  // else these were not what they are meant to be
}
