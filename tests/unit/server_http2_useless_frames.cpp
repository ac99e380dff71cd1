// SPDX-License-Identifier: MIT
//
// Frames of HTTP/2 that are no part of a request, of every kind and in any order: they cost their client its budget, by
// their number and by their bytes. What browsers and gRPC send beside requests does not.

#include "http2/abuse_budget.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_attack.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace server = kino::server;
using namespace http2_test;
using http_server_test::answer;
using http_server_test::patient_settings;

namespace {

// Makes useless frames of a few kinds, which are chosen by the seed. Stream 1 has a request that does not end, stream 3
// was complete, stream 5 was reset by the server, and stream 7 has only a priority: a later one has begun.
class useless_frames {
public:
  useless_frames(attack& sender, std::uint32_t seed) : sender_(sender), chance_(seed) {
    sender.goaways_end = false;
    sender.send(get_request(1, end_headers) + get_request(3));
    answer(sender.here.take(), "complete");
    sender.send(get_request(5, end_headers) + frame(data, 0, 5, std::string(2000, 'x')));
    sender.here.pass(std::chrono::seconds(10));
    sender.send(frame(priority, 0, 7, number(0) + "\x10") + get_request(stream_));
    answer(sender.here.take(), "later");
    do {
      for (kind which = kind::unknown; which != kind::end; which = next(which)) {
        if (chance_.once_in(4)) kinds.push_back(which);
      }
    } while (kinds.empty());
  }

  enum class kind : std::uint8_t {
    unknown, empty_data, padding, padded_data, stray_data, priority, ping, pong, settings, window_update, goaway,
    reset, late_header, request_reset, refused_header, passed_over_data, passed_over_header, end,
  };
  std::vector<kind> kinds;

  std::string make() {
    switch (kinds[chance_.below(static_cast<std::uint32_t>(kinds.size()))]) {
      case kind::unknown:
        return frame(static_cast<frame_type>(10 + chance_.below(246)), chance_.below(256) & 0xff, chance_.below(10), payload(16384));
      case kind::empty_data: return frame(data, 0, 1);
      case kind::padding: return padded("");
      case kind::padded_data: return padded("x");
      case kind::stray_data: return frame(data, 0, chance_.once_in(2) ? 3 : 5, payload(16384));
      case kind::priority: return frame(priority, 0, 1 + 2 * chance_.below(5), number(0) + "\x10");
      case kind::ping: return frame(ping, 0, 0, "12345678");
      case kind::pong: return frame(ping, ack, 0, "12345678");
      case kind::settings: return frame(settings, 0, 0, unknown_settings());
      case kind::window_update: return frame(window_update, 0, chance_.once_in(2) ? 3 : 0, number(1));
      case kind::goaway: return frame(goaway, 0, 0, number(0) + number(0) + payload(16000));
      case kind::reset: return frame(rst_stream, 0, 3, number(NGHTTP2_CANCEL));
      case kind::late_header: return frame(headers, end_stream | end_headers, 5, get_header);
      case kind::request_reset: return fresh_request() + frame(rst_stream, 0, stream_, number(NGHTTP2_CANCEL));
      case kind::refused_header: return long_header();
      case kind::passed_over_data: return frame(data, 0, 7, payload(16384));
      case kind::passed_over_header: return frame(headers, end_stream | end_headers, 7, get_header);
      case kind::end: break;
    }
    return {};
  }

  std::size_t place_in(std::string const& bytes) { return chance_.below(static_cast<std::uint32_t>(bytes.size())); }

private:
  static kind next(kind which) { return static_cast<kind>(static_cast<std::uint8_t>(which) + 1); }
  std::string payload(std::uint32_t most) {
    return std::string(chance_.once_in(3) ? 0 : chance_.once_in(2) ? chance_.below(30) : chance_.below(most), 'x');
  }
  static std::string padded(std::string const& body) {
    return frame(data, 8, 1, std::string(1, '\xff') + body + std::string(255, '\0'));
  }
  std::string unknown_settings() {
    std::string all;
    for (std::uint32_t i = chance_.below(2000); i > 0; --i) all += "\xfa\xfa" + number(i);
    return all;
  }
  std::string fresh_request() { return get_request(stream_ += 2); }
  // In some empty continuations, and then taken back.
  std::string long_header() {
    std::string made = frame(headers, end_stream, stream_ += 2, get_header);
    for (int i = 0; i < 5; ++i) made += frame(continuation, 0, stream_);
    return made + frame(continuation, end_headers, stream_) + frame(rst_stream, 0, stream_, number(NGHTTP2_CANCEL));
  }

  attack& sender_;
  stress::dice chance_;
  std::uint32_t stream_ = 9;
};

// Stream 3 waits for its body. The client reads no more, although it has a response of 300,000 bytes.
void stop_reading(attack& it) {
  std::string const wide_window = std::string("\0\4", 2) + number(1 << 20);
  it.send(frame(settings, 0, 0, wide_window) + frame(window_update, 0, 0, number(1 << 20)) + get_request(1) + get_request(3, end_headers));
  it.reads = false;
  answer(it.here.take(), std::string(300'000, 'x'));
}

}  // namespace

TEST_CASE("a flood of useless frames, of any kinds in any order, ends its connection, and other clients are served") {
  captured_log const log;
  char const* const given = std::getenv("SEEDS");  // more of them: a long run
  std::uint32_t const seeds = given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : stress::scaled(100);
  server::options chosen = patient_settings();
  chosen.connection.max_body_size = 1000;
  chosen.connection.max_concurrent_streams = 20;
  for (std::uint32_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    attack it(chosen);
    useless_frames source(it, seed);
    int const before = it.here.calls;
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (!it.ended() && count < 30'000 && bytes < 10'000'000) {
      std::string many;
      for (int i = 0; i < 50; ++i) many += source.make();
      std::size_t const cut = source.place_in(many);  // perhaps in a frame
      it.send(many.substr(0, cut));
      it.send(many.substr(cut));
      count += 50;
      bytes += many.size();
    }
    // The cheapest, WINDOW_UPDATE, may be sent 10,000 times. What may have been on its way on stream 5 is free.
    CHECK(it.ended());
    CHECK(count < 15'000);
    CHECK(bytes < 2'500'000);
    CHECK(it.here.calls - before <= 20);
    REQUIRE(it.serves_others());
  }
}

TEST_CASE("each kind of useless frame ends the connection alone") {
  captured_log const log;
  using kind = useless_frames::kind;
  server::options chosen = patient_settings();
  chosen.connection.max_body_size = 1000;
  for (auto which = kind::unknown; which != kind::end; which = static_cast<kind>(static_cast<int>(which) + 1)) {
    CAPTURE(static_cast<int>(which));
    attack it(chosen);
    useless_frames source(it, 1);
    source.kinds = {which};
    int const took = it.send_until_ended(30'000, [&](std::uint32_t) { return source.make(); });
    CHECK(took < 15'000);
    CHECK(it.here.calls <= 120);
  }
}

TEST_CASE("a client that does not read pays for frames on a stream that the server resets") {
  captured_log const log;
  for (auto const& useless : {frame(data, 0, 3, std::string(16000, 'x')), frame(data, 0, 3), frame(headers, end_headers, 3, get_header)}) {
    attack it;
    stop_reading(it);
    it.send(frame(window_update, 0, 3, number(0x7fffffff)));  // more than a window can have
    int const took = it.send_until_ended(10'000, [&](std::uint32_t) { return useless; });
    CHECK(took < 1500);
    CHECK(it.serves_others());
  }
}

TEST_CASE("a client pays for what it sends on new streams after the server has begun to end the connection") {
  captured_log const log;
  for (bool const body : {false, true}) {
    CAPTURE(body);
    attack it;
    it.goaways_end = false;
    it.send(get_request(1));
    it.here.http().begin_drain();
    it.send(frame(ping, ack, 0, "12345678"));
    if (body) it.send(get_request(3, end_headers));
    int const took = it.send_until_ended(10'000, [&](std::uint32_t i) {
      return body ? frame(data, 0, 3, std::string(16000, 'x')) : get_request(3 + 2 * i);
    });
    CHECK(took < 1500);
    CHECK(it.here.calls == 1);
    CHECK(it.serves_others());
  }
}

TEST_CASE("a client may send what browsers send beside requests and bodies") {
  constexpr auto grease = static_cast<frame_type>(0x2a);
  constexpr auto priority_update = static_cast<frame_type>(0x10);
  attack it;
  for (std::uint32_t stream = 1; stream < 10'000; stream += 2) {
    it.send(frame(priority_update, 0, 0, number(stream) + "u=1, i") + get_request(stream, end_headers));
    it.send(frame(grease, 7, stream, "6 byte") + frame(data, 0, stream, std::string(10'000, 'x')));
    it.send(frame(grease, 7, stream, "6 byte") + frame(data, end_stream, stream, "end"));
    REQUIRE(!it.here.requests.empty());
    answer(it.here.take(), "yes");
    it.send("");
    REQUIRE(!it.ended());
  }
}

TEST_CASE("a client may have a body in small frames on its way when the server ends its stream") {
  captured_log const log;
  server::options chosen = patient_settings();
  chosen.connection.max_body_size = 1000;
  attack it(chosen);
  for (std::uint32_t stream = 1; stream < 40; stream += 2) {
    it.send(get_request(stream, end_headers) + frame(data, 0, stream, std::string(2000, 'x')));
    it.here.pass(std::chrono::seconds(10));
    for (int i = 0; i < 2000; ++i) it.send(frame(data, 0, stream, std::string(20, 'x')));
    it.send(frame(data, end_stream, stream));
  }
  CHECK(!it.ended());
  CHECK(it.here.refusals == 20);
}

TEST_CASE("a client may have requests with bodies on their way when the server begins to end the connection") {
  captured_log const log;
  attack it;
  it.goaways_end = false;
  it.send(get_request(1));
  it.here.http().begin_drain();
  it.send(frame(ping, ack, 0, "12345678"));
  for (std::uint32_t stream = 3; stream < 103; stream += 2) {
    it.send(get_request(stream, end_headers) + frame(data, 0, stream, std::string(10'000, 'x')));
    it.send(frame(data, 0, stream, std::string(10'000, 'x')) + frame(headers, end_stream | end_headers, stream));
  }
  CHECK(!it.ended());
  CHECK(it.here.calls == 1);
}

TEST_CASE("a client may send the body of a stream that is refused, as long as it has not read that") {
  server::options chosen = patient_settings();
  chosen.connection.max_concurrent_streams = 2;
  attack it(chosen);
  stop_reading(it);
  for (std::uint32_t stream = 5; stream < 205; stream += 2) {
    it.send(get_request(stream, end_headers) + frame(data, end_stream, stream, std::string(15'000, 'x')));
  }
  CHECK(!it.ended());
}

TEST_CASE("a body may come in frames of one byte") {
  attack it;
  it.send(get_request(1, end_headers));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += frame(data, 0, 1, "x");
  for (int i = 0; i < 60; ++i) it.send(many);
  it.send(frame(data, end_stream, 1));
  CHECK(!it.ended());
  REQUIRE(it.here.requests.size() == 1);
  CHECK(server::exchange::of(it.here.requests.back()).collected().size() == 60'000);
}
