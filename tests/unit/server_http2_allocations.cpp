// SPDX-License-Identifier: MIT
//
// As server_allocations.cpp, with HTTP/2: whichever allocation of the server or of nghttp2 fails, every request gets its
// response, an error or the end of its connection, and others are served.

#include "http2/http2_protocol.hpp"

#include "../support/await.hpp"
#include "../support/captured_log.hpp"
#include "../support/failing_allocations.hpp"
#include "../support/http2_client.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

using namespace allocation_test;
using http_server_test::serving_threads;

#ifdef KINO_TEST_WRAPS_MALLOC
namespace {
std::atomic<bool> used{false};
}

// The sessions of the server get an allocator that fails; clients have others.
extern "C" int __wrap_nghttp2_session_server_new2(nghttp2_session** made, nghttp2_session_callbacks const* callbacks,
                                                  void* user, nghttp2_option const* chosen) {
  used = true;
  static nghttp2_mem failing{nullptr, [](std::size_t size, void*) { return fails() ? nullptr : std::malloc(size); },
                             [](void* place, void*) { std::free(place); },
                             [](std::size_t count, std::size_t size, void*) { return fails() ? nullptr : std::calloc(count, size); },
                             [](void* place, std::size_t size, void*) { return fails() ? nullptr : __real_realloc(place, size); }};
  return nghttp2_session_server_new3(made, callbacks, user, chosen, &failing);
}
#endif

namespace {

// Sends requests of all kinds at once, on one connection. Returns what is wrong with the responses; empty if nothing is.
std::string converse(std::uint16_t port) {
  http_server_test::client wire;
  if (!wire.connect(port)) return "no connection";
  http2_test::client peer;
  std::vector<std::pair<std::int32_t, std::string>> wanted;
  auto const post = [&](std::string const& body, http2_test::fields const& trailers = {}) {
    wanted.emplace_back(peer.request("POST", "/", {}, true), body);
    peer.send_body(wanted.back().first, body);
    peer.end_body(wanted.back().first, trailers);
  };
  wanted.emplace_back(peer.request("GET", "/"), "");
  wanted.emplace_back(peer.request("GET", "/stream", {{"x-long", std::string(1000, 'x')}}), "sss");
  wanted.emplace_back(peer.request("GET", "/large", {{"cookie", "a=1"}, {"cookie", "b=2"}}), std::string(200'000, 'l'));
  post("small", {{"x-check", "sum"}});
  post(std::string(20'000, 'm'));
  post(std::string(150'000, 'b'));
  auto const waits = [&] {
    for (auto const& [stream, body] : wanted) {
      if (!peer.at(stream).closed) return true;
    }
    return false;
  };
  for (bool open = true; open && waits();) {
    while (true) {
      std::string const output = peer.output();
      if (output.empty()) break;
      static_cast<void>(wire.send(output));
    }
    std::string const got = wire.read_some(65'536);
    open = !got.empty();
    if (open && !peer.input(got)) return "the server sent what is not HTTP/2";
  }
  if (wire.waited_in_vain()) return "a stream was left waiting";
  for (auto const& [stream, body] : wanted) {
    http2_test::stream const& got = peer.at(stream);
    if (!got.ended || got.status == 500 || got.status == 503) continue;  // an error, or the end of the connection
    if (got.status != 200 || got.body != body) return "stream " + std::to_string(stream) + ": another response, " + std::to_string(got.status);
  }
  return {};
}

bool serves(std::uint16_t port) {
  http_server_test::client asking(port);
  return asking.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nstill") && asking.read_response().body == "still";
}

}  // namespace

TEST_CASE("whichever allocation fails, every stream gets a response or an end, and others are served") {
  exempt = true;
  captured_log log;
  INFO(log);
  std::uint32_t const allocations = fail_each_allocation(
      http_server_test::patient_settings(), [](std::uint16_t port) { CHECK(converse(port) == ""); },
      [](std::uint16_t port) { REQUIRE(serves(port)); });
  CHECK(allocations > 50);
#ifdef KINO_TEST_WRAPS_MALLOC
  CHECK(used);
#endif
}

TEST_CASE("if every n-th allocation fails, every stream gets a response or an end") {
  exempt = true;
  captured_log log;
  INFO(log);
  queueing_handler requests;
  serving_threads const serving(requests, 1, serve_or_drop);
  for (std::uint32_t each = 2; each < 400; each += 1 + each / 10) {
    CAPTURE(each);
    fail_at(each, each);
    CHECK(converse(requests.port()) == "");
  }
  fail_at(0);
  CHECK(converse(requests.port()) == "");
  CHECK(serves(requests.port()));
  await([&] { return requests.http().connections() == 0; });
}
