// SPDX-License-Identifier: MIT

#include "http/trailers.hpp"

#include <doctest/doctest.h>

#include <string>

using kino::server::may_be_trailer;

TEST_CASE("fields that must be known before the body may not be trailers, in any spelling") {
  for (std::string name : {"content-length", "transfer-encoding", "host", "te", "trailer", "connection", "authorization",
                           "proxy-authorization", "set-cookie", "cookie", "content-type", "content-encoding",
                           "content-range", "cache-control", "expect", "range", "if-match", "if-none-match", "upgrade",
                           "max-forwards", "x-forwarded-for", "location", "age", "www-authenticate"}) {
    CHECK_FALSE(may_be_trailer(name));
    for (char& c : name) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    }
    CHECK_FALSE(may_be_trailer(name));
    for (char& c : name) {
      if (c == '-') c = '_';
    }
    CHECK_FALSE(may_be_trailer(name));
  }
}

TEST_CASE("other fields may be trailers") {
  for (char const* name : {"grpc-status", "grpc-message", "server-timing", "etag", "content-digest", "x-checksum", "hosts",
                           "t", "", "content-lengths", "if"}) {
    CHECK(may_be_trailer(name));
  }
}
