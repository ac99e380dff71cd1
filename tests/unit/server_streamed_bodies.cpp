// SPDX-License-Identifier: MIT

#include "http/streamed_bodies.hpp"

#include "http1/http_parser.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using kino::server::rejection;
using kino::server::request;
using kino::server::streamed_bodies;

namespace {

struct anything final : kino::server::http_parser::sink {
  rejection on_head() override { return {}; }
  rejection on_body(std::string_view) override { return {}; }
};

bool match(std::vector<std::string> entries, std::string const& path, std::string const& type = "") {
  request head;
  anything events;
  kino::server::limits const limit;
  kino::server::http_parser parser(events, limit);
  parser.start(head);
  std::string text = "POST " + path + " HTTP/1.1\r\nHost: x\r\n";
  if (!type.empty()) text += "Content-Type: " + type + "\r\n";
  REQUIRE(parser.parse(text + "\r\n").what == kino::server::http_parser::state::complete);
  return streamed_bodies(std::move(entries)).match(head);
}

}  // namespace

TEST_CASE("without entries, no body is streamed") { CHECK_FALSE(match({}, "/", "application/grpc")); }

TEST_CASE("an entry that is a path streams requests for it and for paths below it") {
  CHECK(match({"/up"}, "/up"));
  CHECK(match({"/up"}, "/up/a?b"));
  CHECK(match({"/up"}, "/up?b"));
  CHECK_FALSE(match({"/up"}, "/ups"));
  CHECK_FALSE(match({"/up"}, "/u"));
  CHECK_FALSE(match({"/up"}, "/Up"));
  CHECK(match({"/up/"}, "/up/a"));
  CHECK_FALSE(match({"/up/"}, "/up"));
  CHECK(match({"/a", "/b"}, "/b/c"));
}

TEST_CASE("an entry that is a slash streams all requests") {
  CHECK(match({"/"}, "/"));
  CHECK(match({"/"}, "/a/b", "text/plain"));
}

TEST_CASE("a content type matches every type that begins with it, regardless of case") {
  CHECK(match({"application/grpc"}, "/", "application/grpc"));
  CHECK(match({"Application/gRPC"}, "/", "application/GRPC+proto; x=y"));
  CHECK_FALSE(match({"application/grpc"}, "/", "application/gr"));
  CHECK_FALSE(match({"application/grpc"}, "/", "text/application/grpc"));
  CHECK_FALSE(match({"application/grpc"}, "/"));
  CHECK(match({"/up", "application/grpc"}, "/", "application/grpc"));
}

TEST_CASE("an empty entry is refused") {
  CHECK_THROWS_AS(streamed_bodies({""}), std::invalid_argument);
}
