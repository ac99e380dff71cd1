// SPDX-License-Identifier: MIT
//
// Streams that compete: for the window of their connection, and for the number of streams that there may be.

#include "http2/http2_state.hpp"

#include "../support/captured_log.hpp"
#include "../support/frozen_clock.hpp"
#include "../support/http2_frames.hpp"
#include "../support/http2_talk.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace server = kino::server;
using namespace http2_test;
using http_server_test::answer;
using http_server_test::patient_settings;
using server::exchange;
using server::http2_state;

namespace {

server::options impatient_settings() {
  server::options chosen = patient_settings();
  chosen.connection.body_timeout = std::chrono::seconds(30);
  return chosen;
}

// Answers two requests with more than the client lets through, and makes both wait for an hour. Their streams may each
// send `window` bytes, and their connection 65,535, of which another response has used `used`.
struct two_waiting {
  two_waiting(std::uint32_t window, std::size_t used) : here(impatient_settings(), {}, 1, window, false) {
    auto const before = here.peer.request("GET", "/0");
    first = here.peer.request("GET", "/1");
    second = here.peer.request("GET", "/2");
    here.settle();
    REQUIRE(here.requests.size() == 3);
    answer(here.take(), std::string(used, 'x'));
    std::vector<exchange*> both;
    for (int i = 0; i != 2; ++i) {
      auto const reply = here.take();
      both.push_back(&exchange::of(reply));
      answer(reply, std::string(60'000, 'x'));
    }
    here.settle();
    REQUIRE(here.peer.at(before).closed);
    REQUIRE(ended() == 0);
    for (exchange* each : both) {  // The streams keep them.
      http2_state& state = http2_state::of(*each);
      state.progress = state.waits_since = server::clock::now() - std::chrono::hours(1);
    }
  }
  [[nodiscard]] int ended() { return int{here.peer.at(first).closed} + int{here.peer.at(second).closed}; }

  talk here;
  std::int32_t first;
  std::int32_t second;
};

// A client that writes its frames itself.
struct by_hand {
  explicit by_hand(talk& server) : here(server), wire(server.connect()) {}
  ~by_hand() { wire->end(); }

  // Sends, and takes what comes.
  void send(std::string_view bytes) {
    REQUIRE(wire->send(bytes) == bytes.size());
    while (here.io()) got += wire->receive(SIZE_MAX);
    got += wire->receive(SIZE_MAX);
    while (auto const next = take_frame(got)) {
      if (next->type == goaway) goaways.push_back(next->number_at(4));
      if (next->type == rst_stream) resets[next->stream] = next->number_at(0);
      if (next->type == data) bodies[next->stream] += next->payload;
      if (next->type != settings || next->flags == ack) continue;
      for (std::size_t at = 0; at < next->payload.size(); at += 6) {
        if (next->payload.substr(at, 2) == std::string_view("\x00\x03", 2)) told = next->number_at(at + 2);
      }
    }
  }
  void answer_all(std::string_view body = "some") {
    while (!here.requests.empty()) answer(here.take(), body);
  }

  talk& here;
  std::shared_ptr<memory_test::memory_link> const wire;
  std::map<std::uint32_t, std::uint32_t> resets;  // their errors
  std::map<std::uint32_t, std::string> bodies;
  std::vector<std::uint32_t> goaways;             // likewise
  std::uint32_t told = 0;                         // MAX_CONCURRENT_STREAMS
  std::string got;
};

std::string trailers(std::uint32_t stream) {
  constexpr std::string_view block = "\x40\x01" "a" "\x01" "b";
  return frame(headers, end_stream | end_headers, stream, block);
}

// As many requests as it takes for the server to have forgotten which of their streams it has ended itself.
constexpr std::uint32_t many = 100;

}  // namespace

TEST_CASE("a stream that waits for the window of the connection may wait as long as another one gets some of it") {
  two_waiting it(65'535, 65'535);
  it.here.peer.open_window(0, 100);
  it.here.settle();
  it.here.pass(std::chrono::seconds(10));
  CHECK(it.ended() == 0);
  it.here.pass(std::chrono::minutes(1));  // Now none of them gets any.
  CHECK(it.ended() == 2);
  CHECK(it.here.peer.at(it.first).error == NGHTTP2_CANCEL);
}

TEST_CASE("a stream whose own window stays closed is ended, although others get on") {
  two_waiting it(10'000, 100);
  it.here.peer.open_window(it.second, 100);
  it.here.settle();
  it.here.pass(std::chrono::seconds(10));
  CHECK(it.here.peer.at(it.first).error == NGHTTP2_CANCEL);
  CHECK(!it.here.peer.at(it.second).closed);
}

TEST_CASE("a stream too many is refused, and no other is disturbed, before and after the client knows the limit") {
  for (bool const knows : {false, true}) {
    CAPTURE(knows);
    server::options chosen = patient_settings();
    chosen.connection.max_concurrent_streams = 2;
    talk here(chosen);
    by_hand it(here);
    it.send(std::string(preface) + frame(settings, 0, 0) + (knows ? frame(settings, ack, 0) : std::string()));
    CHECK(it.told == 2);
    it.send(get_request(1) + get_request(3) + get_request(5) + get_request(7));
    CHECK(here.requests.size() == 2);
    CHECK(it.resets == std::map<std::uint32_t, std::uint32_t>{{5, NGHTTP2_REFUSED_STREAM}, {7, NGHTTP2_REFUSED_STREAM}});
    it.answer_all();
    it.send(get_request(9));  // as RFC 9113, 8.7, lets it try again
    REQUIRE(here.requests.size() == 1);
    it.answer_all("more");
    it.send(frame(ping, 0, 0, "12345678"));
    CHECK(it.bodies == std::map<std::uint32_t, std::string>{{1, "some"}, {3, "some"}, {9, "more"}});
    CHECK(it.goaways.empty());
    CHECK(!it.wire->sees_end());
  }
}

TEST_CASE("responses that may wait for others are sent with the last one, when one is flushed, or when there are many bytes") {
  talk here;
  std::vector<std::int32_t> asked;
  for (int i = 0; i != 6; ++i) asked.push_back(here.peer.request("GET", "/"));
  here.settle();
  REQUIRE(here.requests.size() == 6);
  std::string got;
  auto const sends = [&] {
    std::string const more = here.wire().receive(SIZE_MAX);
    got += more;
    return !more.empty();
  };
  auto const gathered = [&](exchange::reply const& reply, std::string_view body) {
    answer(reply, body, true);
    return exchange::of(reply).gathered();
  };
  std::string const large(server::tuning::gather_size / 2, 'x');

  auto const first = here.take();
  CHECK(gathered(first, large));
  auto const second = here.take();
  CHECK(gathered(second, "second"));
  CHECK(!sends());
  CHECK(exchange::of(first).flushed_with(exchange::of(second)));
  exchange::of(first).flush();
  CHECK(sends());

  CHECK(gathered(here.take(), large));
  CHECK(!sends());
  CHECK(!gathered(here.take(), large));
  CHECK(sends());

  CHECK(gathered(here.take(), "one before the last"));
  CHECK(!sends());
  CHECK(!gathered(here.take(), "last"));
  CHECK(sends());

  REQUIRE(here.peer.input(got));
  for (std::int32_t each : asked) CHECK(here.peer.at(each).ended);
}

TEST_CASE("a response does not wait long for others: their requests may wait for it") {
  talk here;
  std::int32_t const upload = here.peer.request("POST", "/upload", {}, true);
  std::int32_t const asked = here.peer.request("GET", "/");
  here.settle();
  answer(here.take(), "body", true);
  CHECK(!here.wire().sees_bytes());
  here.settle();
  here.pass(server::tuning::gather_time);
  CHECK(here.peer.at(asked).ended);
  here.peer.end_body(upload);
  here.settle();
  answer(here.take(), "uploaded", true);
  here.settle();
  CHECK(here.peer.at(upload).ended);
}

TEST_CASE("a response waits for no other one that is not to come") {
  talk here;
  std::int32_t const reset = here.peer.request("GET", "/reset");
  std::int32_t const asked = here.peer.request("GET", "/");
  here.settle();
  here.peer.reset(reset);
  here.settle();
  auto const gone = here.take();
  answer(here.take(), "body", true);
  REQUIRE(here.peer.input(here.wire().receive(SIZE_MAX)));
  CHECK(here.peer.at(asked).ended);
}

TEST_CASE("a client that sends a header on a stream that it has ended loses its connection") {
  captured_log const log;
  struct {
    char const* what;
    std::string before;
    std::string stray;
  } const all[] = {
      {"a header behind the end", get_request(3), get_request(3)},
      {"trailers behind a reset", get_request(3, end_headers) + frame(rst_stream, 0, 3, number(NGHTTP2_CANCEL)), get_request(3)},
      {"a stream that was passed over", get_request(5), get_request(3)},
  };
  for (auto const& each : all) {
    INFO(each.what);
    talk here;
    by_hand it(here);
    it.send(std::string(preface) + frame(settings, 0, 0) + each.before);
    it.answer_all();
    it.send(each.stray);
    CHECK(it.goaways == std::vector<std::uint32_t>{NGHTTP2_STREAM_CLOSED});
    CHECK(it.wire->sees_end());
    CHECK(here.requests.empty());
  }
}

TEST_CASE("what is on its way for streams that the server has ended disturbs no other, and is bounded") {
  captured_log const log;
  server::options chosen = patient_settings();
  chosen.connection.max_body_size = 100;
  talk here(chosen);
  by_hand it(here);
  it.send(std::string(preface) + frame(settings, 0, 0));
  std::string const large(200, 'x');
  std::uint32_t last = 1;
  for (; last < 2 * many; last += 2) {
    it.send(get_request(last, end_headers) + frame(data, 0, last, large));  // 413
    here.pass(server::tuning::linger + std::chrono::seconds(1));            // The stream is reset.
    for (int i = 0; i != 5; ++i) it.send(frame(data, 0, last, large) + frame(data, 0, 1, large));
    it.send(trailers(last));
  }
  CHECK(it.resets.size() == many);
  CHECK(it.goaways.empty());
  it.send(get_request(last));
  it.answer_all();
  it.send(frame(ping, 0, 0, "12345678"));
  CHECK(it.bodies[last] == "some");
  frozen_clock const budgets_do_not_grow;
  for (int i = 0; i != 2000 && it.goaways.empty(); ++i) it.send(trailers(1));
  CHECK(it.goaways == std::vector<std::uint32_t>{NGHTTP2_ENHANCE_YOUR_CALM});
}
