// SPDX-License-Identifier: MIT
//
// Which protocol a connection speaks: what was agreed on in a TLS handshake, or what the first bytes say.

#include "http2/http2_protocol.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_frames.hpp"
#include "../support/http2_talk.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace server = kino::server;
using namespace http2_test;
using http_server_test::answer;

namespace {

constexpr std::string_view http1_request = "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";

// What a client gets for its first bytes, sent in parts of `part` bytes.
struct first_bytes {
  first_bytes(std::string_view agreed, std::string_view bytes, std::size_t part = SIZE_MAX) : wire(here.connect({}, agreed)) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(part, bytes.size()))) {
      static_cast<void>(wire->send(bytes.substr(0, part)));
      here.settle();
    }
    calls = here.calls;
    while (!here.requests.empty()) answer(here.take(), "yes");
    here.settle();
    got = wire->receive(SIZE_MAX);
  }

  talk here;
  std::shared_ptr<memory_test::memory_link> wire;
  int calls = 0;
  std::string got;
};

std::string const http2_request = std::string(preface) + frame(settings, 0, 0) + get_request(1);

bool is_http2(std::string const& got) { return got.size() > 9 && got[3] == static_cast<char>(settings); }

}  // namespace

TEST_CASE("without an agreement, the first bytes choose the protocol") {
  CHECK(first_bytes({}, http1_request).got.starts_with("HTTP/1.1 200 "));
  first_bytes const it({}, http2_request);
  CHECK(it.calls == 1);
  CHECK(is_http2(it.got));
}

TEST_CASE("a client speaks what it has agreed on") {
  CHECK(first_bytes("http/1.1", http1_request).got.starts_with("HTTP/1.1 200 "));
  for (std::size_t const part : {std::size_t{1}, std::size_t{3}, std::size_t{24}, SIZE_MAX}) {
    CAPTURE(part);
    first_bytes const it("h2", http2_request, part);
    CHECK(it.calls == 1);
    CHECK(is_http2(it.got));
    CHECK(!it.wire->sees_end());
  }
}

TEST_CASE("a client that has agreed on HTTP/2 is not served as one of HTTP/1") {
  captured_log const log;
  for (std::size_t const part : {std::size_t{1}, std::size_t{20}, SIZE_MAX}) {
    CAPTURE(part);
    first_bytes const it("h2", http1_request, part);
    CHECK(it.calls == 0);
    CHECK(it.got.find("HTTP/1.1") == std::string::npos);
    CHECK(it.wire->sees_end());
  }
  CHECK(log.text().find("preface") != std::string::npos);
}

TEST_CASE("a client that has agreed on HTTP/1 is not served as one of HTTP/2") {
  captured_log const log;
  for (std::size_t const part : {std::size_t{1}, std::size_t{20}, SIZE_MAX}) {
    CAPTURE(part);
    first_bytes const it("http/1.1", http2_request, part);
    CHECK(it.calls == 0);
    CHECK(it.got.starts_with("HTTP/1.1 505 "));
    CHECK(it.wire->sees_end());
  }
}

TEST_CASE("what only begins like HTTP/2 is a request of HTTP/1") {
  for (std::string_view const bytes : {"PRI / HTTP/1.1\r\nhost: a.example\r\n\r\n", "PUT / HTTP/1.1\r\nhost: a.example\r\n\r\n"}) {
    for (std::size_t const part : {std::size_t{1}, std::size_t{3}, SIZE_MAX}) {
      CAPTURE(bytes);
      CAPTURE(part);
      CHECK(first_bytes({}, bytes, part).calls == 1);
    }
  }
}
