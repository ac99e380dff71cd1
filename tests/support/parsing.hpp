// SPDX-License-Identifier: MIT
//
// Shared by the tests of requests: a parser with its results, fed all at once and in pieces.

#pragma once

#include "http/field_name.hpp"
#include "http1/http_parser.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace parsing_tests {

using kino::server::folded_name;
using kino::server::http_parser;
using kino::server::rejection;
using kino::server::request;

inline constexpr std::size_t header_limit = 4096;

inline kino::server::limits const& limits() {
  static kino::server::limits const chosen = [] {
    kino::server::limits made;
    made.max_header_size = header_limit;
    return made;
  }();
  return chosen;
}

// A parser with what it parsed, fed whole or byte by byte.
struct parsing : http_parser::sink {
  request head;
  std::string body;
  http_parser parser{*this, limits()};
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
  // The value of all fields of a name, however it is spelled.
  std::string header(std::string_view name) const { return value_in(head.fields(), name); }
  std::string trailer(std::string_view name) const { return value_in(head.trailers(), name); }

private:
  static std::string value_in(kino::server::field_section const& fields, std::string_view name) {
    for (auto const& each : fields.all()) {
      if (folded_name(fields.name(each)) != folded_name(name)) continue;
      std::string joined(fields.joined_size(each), '\0');
      fields.copy_joined(each, joined.data());
      return joined;
    }
    return "(none)";
  }
};

inline std::string const get = "GET / HTTP/1.1\r\nHost: x\r\n";
inline std::string const post = "POST / HTTP/1.1\r\nHost: x\r\n";
inline std::string const chunked = post + "Transfer-Encoding: chunked\r\n\r\n";

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

inline void accepts(std::string_view bytes) {
  both_ways(bytes, [](parsing& p) { CHECK(p.last.what == http_parser::state::complete); });
}

inline void rejects(std::string_view bytes, int status = 400) {
  both_ways(bytes, [status](parsing& p) {
    CHECK(p.last.what == http_parser::state::rejected);
    CHECK(p.parser.why().status == status);
    CHECK(!std::string_view(p.parser.why().reason).empty());
  });
}

}  // namespace parsing_tests
