// SPDX-License-Identifier: MIT

#include "http1/request_line.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <regex>
#include <string>
#include <string_view>

using namespace std::string_literals;
using kino::server::authority;
using kino::server::http_version;
using kino::server::rejection;
using kino::server::request_line;

namespace {

std::mt19937 random_numbers(6);

std::size_t up_to(std::size_t most) { return random_numbers() % (most + 1); }

std::string several(std::size_t least, std::size_t most, std::string_view bytes) {
  std::string made;
  for (std::size_t left = least + up_to(most - least); left != 0; --left) {
    made += bytes[up_to(bytes.size() - 1)];
  }
  return made;
}

constexpr std::string_view pchar = "azAZ09-._~!$&'()*+,;=:@";

std::string segments() {
  std::string made;
  for (std::size_t left = up_to(3); left != 0; --left) {
    made += "/" + several(0, 4, pchar) + (up_to(3) == 0 ? "%" + several(2, 2, "09afAF") : "");
  }
  return made;
}

std::string query() { return up_to(1) ? "?" + several(0, 6, "az09-._~!$&'()*+,;=:@/?") : ""; }

std::string line() {
  static constexpr std::string_view methods[] = {"GET",   "POST",     "OPTIONS",
                                                 "QUERY", "M-SEARCH", "PRI"};
  std::string const method =
      up_to(3) ? std::string(methods[up_to(5)]) : several(1, 12, "azAZ09!#$%&'*+-.^_`|~");
  std::string target = "/" + several(0, 3, pchar) + segments() + query();
  if (up_to(3) == 0)
    target =
        (up_to(1) ? "http://" : "HtTpS://") + several(1, 8, "az09-.") + segments() + query();
  if (method == "OPTIONS" && up_to(1)) target = "*";
  return method + " " + target + " HTTP/1." + several(1, 1, "0123456789");
}

// A second implementation of RFC 9112, 3: the status for the line, or 0 if it is valid.
int expected(std::string const& text) {
  static std::regex const words(R"(([-!#$%&'*+.^_`|~0-9A-Za-z]+) ([^ ]+) HTTP/([0-9])\.[0-9])");
  static std::regex const characters(R"((?:[!-"$&-~]|%[0-9A-Fa-f]{2})+)");
  static std::regex const url(R"(https?://([^/?]*)(?:[/?].*)?)", std::regex::icase);
  std::smatch parts;
  if (!std::regex_match(text, parts, words)) return 400;
  if (parts[3] != "1") return 505;
  if (parts[1] == "CONNECT") return 501;
  std::string const target = parts[2];
  if (!std::regex_match(target, characters)) return 400;
  if (target == "*") return parts[1] == "OPTIONS" ? 0 : 400;
  if (target.front() == '/') return 0;
  std::smatch of_url;
  if (!std::regex_match(target, of_url, url)) return 400;
  return authority::parse(of_url[1].str()) ? 0 : 400;  // has its own test
}

void agrees(std::string const& text) {
  request_line parsed;
  rejection const found = request_line::parse(text, parsed);
  CAPTURE(text);
  CAPTURE(found.reason);
  REQUIRE(found.status == expected(text));
  REQUIRE((found.status == 0) == (*found.reason == '\0'));
}

}  // namespace

TEST_CASE("a line consists of a method, a target and a version") {
  std::string const text = "PATCH /a/b?c=d&e HTTP/1.0";
  request_line parsed;
  REQUIRE_FALSE(request_line::parse(text, parsed));
  CHECK(parsed.method == "PATCH");
  CHECK(parsed.target.text == "/a/b?c=d&e");
  CHECK(parsed.version == http_version::http_1_0);
  CHECK(parsed.target.path == "/a/b");
  CHECK(parsed.target.query == "c=d&e");
  CHECK(parsed.target.named.empty());
}

TEST_CASE("a URL has a host, and a path that may be empty") {
  std::string const text = "GET http://[::1]:08?q HTTP/1.9";
  request_line parsed;
  REQUIRE_FALSE(request_line::parse(text, parsed));
  CHECK(parsed.version == http_version::http_1_1);
  CHECK(parsed.target.named == "[::1]:08");
  CHECK(parsed.target.host.host == "[::1]");
  CHECK(parsed.target.host.port == "8");
  CHECK(parsed.target.path.empty());
  CHECK(parsed.target.query == "q");
}

TEST_CASE("the method of a rejected line can be read") {
  std::string const text = "HEAD nothing HTTP/1.1";
  request_line parsed;
  CHECK(request_line::parse(text, parsed).status == 400);
  CHECK(parsed.method == "HEAD");
}

TEST_CASE("random lines, valid and mutated, are accepted exactly if they match the grammar") {
  static constexpr std::string_view bytes = " /?#%:@*\t\r\"[]{}|\\^`<>.0129aZ-HTP\x7f\x80";
  std::size_t refused = 0;
  for (int round = 0; round < 8000; ++round) {
    std::string const text = line();
    request_line parsed;
    CAPTURE(text);
    REQUIRE_FALSE(request_line::parse(text, parsed));
    std::string changed = text;
    for (std::size_t times = 1 + up_to(1); times != 0; --times) {
      std::size_t const at = up_to(changed.size() - 1);
      switch (up_to(3)) {
        case 0: changed.erase(at, 1 + up_to(2)); break;
        case 1: changed.insert(at, 1, bytes[up_to(bytes.size() - 1)]); break;
        case 2: changed[at] = bytes[up_to(bytes.size() - 1)]; break;
        default: changed.replace(at, up_to(4), line(), 0, up_to(8));
      }
      if (changed.empty()) changed = "x";
    }
    agrees(changed);
    refused += request_line::parse(changed, parsed).status != 0;
  }
  CHECK(refused > 800);
  CHECK(refused < 7200);
}

TEST_CASE("every byte is checked, at every position") {
  for (std::string const& text :
       {"GET /a?b HTTP/1.1"s, "OPTIONS * HTTP/1.1"s, "GET http://a/b HTTP/1.1"s}) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = text;
        changed[at] = static_cast<char>(byte);
        agrees(changed);
      }
    }
  }
}
