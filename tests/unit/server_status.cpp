// SPDX-License-Identifier: MIT

#include "http/status.hpp"

#include "http1/response_encoder.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::string_literals;
using kino::server::framing;
using kino::server::response_head;

namespace {

// IANA's registry of HTTP status codes, without those that it reserves (306).
std::map<int, std::string> const registered = {{100, "Continue"},
                                               {101, "Switching Protocols"},
                                               {102, "Processing"},
                                               {103, "Early Hints"},
                                               {104, "Upload Resumption Supported"},
                                               {200, "OK"},
                                               {201, "Created"},
                                               {202, "Accepted"},
                                               {203, "Non-Authoritative Information"},
                                               {204, "No Content"},
                                               {205, "Reset Content"},
                                               {206, "Partial Content"},
                                               {207, "Multi-Status"},
                                               {208, "Already Reported"},
                                               {226, "IM Used"},
                                               {300, "Multiple Choices"},
                                               {301, "Moved Permanently"},
                                               {302, "Found"},
                                               {303, "See Other"},
                                               {304, "Not Modified"},
                                               {305, "Use Proxy"},
                                               {307, "Temporary Redirect"},
                                               {308, "Permanent Redirect"},
                                               {400, "Bad Request"},
                                               {401, "Unauthorized"},
                                               {402, "Payment Required"},
                                               {403, "Forbidden"},
                                               {404, "Not Found"},
                                               {405, "Method Not Allowed"},
                                               {406, "Not Acceptable"},
                                               {407, "Proxy Authentication Required"},
                                               {408, "Request Timeout"},
                                               {409, "Conflict"},
                                               {410, "Gone"},
                                               {411, "Length Required"},
                                               {412, "Precondition Failed"},
                                               {413, "Content Too Large"},
                                               {414, "URI Too Long"},
                                               {415, "Unsupported Media Type"},
                                               {416, "Range Not Satisfiable"},
                                               {417, "Expectation Failed"},
                                               {418, "I'm a teapot"},
                                               {421, "Misdirected Request"},
                                               {422, "Unprocessable Content"},
                                               {423, "Locked"},
                                               {424, "Failed Dependency"},
                                               {425, "Too Early"},
                                               {426, "Upgrade Required"},
                                               {428, "Precondition Required"},
                                               {429, "Too Many Requests"},
                                               {431, "Request Header Fields Too Large"},
                                               {451, "Unavailable For Legal Reasons"},
                                               {500, "Internal Server Error"},
                                               {501, "Not Implemented"},
                                               {502, "Bad Gateway"},
                                               {503, "Service Unavailable"},
                                               {504, "Gateway Timeout"},
                                               {505, "HTTP Version Not Supported"},
                                               {506, "Variant Also Negotiates"},
                                               {507, "Insufficient Storage"},
                                               {508, "Loop Detected"},
                                               {510, "Not Extended"},
                                               {511, "Network Authentication Required"}};

// One response: the parts of the request that matter, and what the application gave.
struct answered {
  bool head_only = false;
  bool http_1_0 = false;
  std::optional<std::uint64_t> length;  // of the body, if it was known
  bool announced = false;               // the application gave the length itself
};

struct head_lines {
  framing how = framing::none;
  std::string status_line;
  std::map<std::string, std::string> fields;

  std::string operator[](std::string const& name) const {
    auto const found = fields.find(name);
    return found == fields.end() ? "(none)" : found->second;
  }
};

// The head that the server encodes for a response.
head_lines head_of(int code, answered const& given) {
  kino::server::request asked;
  asked.append_text(given.head_only ? "HEAD" : "GET");
  asked.set_method(asked.text());
  if (given.http_1_0) asked.version = kino::server::http_version::http_1_0;
  response_head head;
  REQUIRE(head.start(code) == response_head::problem::none);
  if (given.announced) {
    REQUIRE(head.add("content-length", std::to_string(*given.length)) == response_head::problem::none);
  } else if (given.length && !given.head_only && !head.bodiless()) {
    REQUIRE(head.set_length(*given.length) == response_head::problem::none);
  }
  kino::server::response_encoder::state state;
  kino::server::response_encoder encoder(asked, state);
  if (encoder.begin({.head = &head})) encoder.keep_alive();
  auto const bytes = encoder.encode({.head = &head});
  REQUIRE(bytes.has_value());
  head_lines made;
  made.how = state.how;
  std::string_view rest = bytes->before;
  REQUIRE(rest.ends_with("\r\n\r\n"));
  made.status_line = rest.substr(0, rest.find("\r\n"));
  rest.remove_prefix(made.status_line.size() + 2);
  while (rest != "\r\n") {
    std::string_view const line = rest.substr(0, rest.find("\r\n"));
    std::size_t const colon = line.find(": ");
    REQUIRE(colon != line.npos);
    // A repeated field would mean two lengths or two framings.
    REQUIRE(made.fields.emplace(line.substr(0, colon), line.substr(colon + 2)).second);
    rest.remove_prefix(line.size() + 2);
  }
  return made;
}

std::vector<answered> all_kinds() {
  std::vector<answered> all;
  for (int bits = 0; bits < 32; ++bits) {
    answered one;
    one.head_only = bits & 1;
    one.http_1_0 = bits & 2;
    if (bits & 4) one.length = bits & 8 ? 0 : 5;
    one.announced = (bits & 16) && one.length;
    all.push_back(one);
  }
  return all;
}

}  // namespace

TEST_CASE("exactly the registered statuses have a reason") {
  for (int code = 100; code <= 999; ++code) {
    CAPTURE(code);
    auto const found = registered.find(code);
    CHECK(kino::server::status_of(static_cast<std::uint16_t>(code)).reason ==
          (found == registered.end() ? "" : found->second));
    if (code < 200) continue;
    CHECK(head_of(code, {}).status_line ==
          "HTTP/1.1 " + std::to_string(code) + " " +
              (found == registered.end() ? "" : found->second));
  }
}

TEST_CASE("204 is sent without body, length and coding, whatever the application gave") {
  for (answered const& given : all_kinds()) {
    head_lines const head = head_of(204, given);
    CHECK(head.how == framing::none);
    CHECK(head["content-length"] == "(none)");
    CHECK(head["transfer-encoding"] == "(none)");
  }
}

TEST_CASE("205 is sent without a body and with a length of 0") {
  for (answered const& given : all_kinds()) {
    head_lines const head = head_of(205, given);
    CHECK(head.how == framing::none);
    CHECK(head["content-length"] == "0");
    CHECK(head["transfer-encoding"] == "(none)");
  }
}

TEST_CASE("304 is sent without a body, and with the length that the application gave") {
  for (answered const& given : all_kinds()) {
    head_lines const head = head_of(304, given);
    CHECK(head.how == framing::none);
    CHECK(head["content-length"] ==
          (given.announced ? std::to_string(*given.length) : "(none)"));
    CHECK(head["transfer-encoding"] == "(none)");
  }
}

TEST_CASE("every other status is sent with a body of unambiguous length, and without one for HEAD") {
  for (int code = 200; code <= 599; ++code) {
    if (code == 204 || code == 205 || code == 304) continue;
    CAPTURE(code);
    for (answered const& given : all_kinds()) {
      head_lines const head = head_of(code, given);
      std::string const length = head["content-length"];
      std::string const coding = head["transfer-encoding"];
      CHECK(head["date"] != "(none)");
      if (given.head_only) {
        CHECK(head.how == framing::none);
        CHECK(coding == "(none)");
        CHECK(length == (given.announced ? std::to_string(*given.length) : "(none)"));
      } else if (given.length) {
        CHECK(head.how == framing::length);
        CHECK(coding == "(none)");
        CHECK(length == std::to_string(*given.length));
      } else if (given.http_1_0) {
        CHECK(head.how == framing::closing);
        CHECK(coding == "(none)");
        CHECK(length == "(none)");
        CHECK(head["connection"] == "close");
      } else {
        CHECK(head.how == framing::chunked);
        CHECK(coding == "chunked");
        CHECK(length == "(none)");
      }
    }
  }
}
