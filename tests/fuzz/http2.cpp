// SPDX-License-Identifier: MIT
//
// Any frames, or any bytes, as the client of an HTTP/2 connection. The server sends valid frames, serves another client
// all the while, and leaves nothing of the connection.

#include "support/target.hpp"

#include "../support/http2_frames.hpp"
#include "../support/http2_talk.hpp"

#include "http/field_section.hpp"

using namespace http2_test;
using server::exchange;

namespace {

// Reads what has arrived of each request, and answers those that are complete.
void serve(talk& here, std::uint8_t how) {
  std::deque<exchange::reply> waiting;
  while (!here.requests.empty()) {
    exchange::reply one = here.take();
    exchange& in_hand = exchange::of(one);
    char bytes[5000];
    server::body_pipe::taken got;
    do got = in_hand.read(bytes, sizeof bytes);
    while (got.length != 0);
    if (got.what == server::body_pipe::state::open && how % 4 != 0) {
      waiting.push_back(std::move(one));
    } else if (how % 2 == 0) {
      http_server_test::answer(one, std::string(how, 'a'));
    } else {
      server::response_writer writer = http_server_test::begin_answer(one, std::nullopt);
      static_cast<void>(writer.write(std::string(how * 100U, 'b')));
      static_cast<void>(in_hand.trailers().add("x-sum", "1"));
      static_cast<void>(writer.finish(&in_hand.trailers()));
    }
  }
  here.requests = std::move(waiting);
}

// One frame: its type, flags, stream and length, and its payload.
std::string packed(frame_type type, std::uint8_t flags, std::uint8_t stream, std::string_view payload = {}) {
  std::string made{static_cast<char>(type), static_cast<char>(flags), static_cast<char>(stream), static_cast<char>(payload.size())};
  return made.append(payload);
}

std::string next_frame(fuzz::input& from) {
  auto const type = static_cast<frame_type>(from.byte() % 12);
  std::uint8_t const flags = from.byte();
  std::uint8_t const stream = from.byte();
  return frame(type, flags, stream, from.bytes(from.byte()));
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::string const begin = packed(settings, 0, 0);
  std::string const post = "\x83\x86\x84\x41\x01x";
  std::vector<std::string> made;
  // The first byte chooses how requests are answered; the second, whether the rest is frames (0) or bytes.
  for (std::string const& how : {std::string("\0\0", 2), std::string("\1\0", 2), std::string("\3\0", 2), std::string("\6\0", 2)}) {
    made.push_back(how + begin + packed(headers, 5, 1, get_header) + packed(headers, 4, 3, post) + packed(data, 0, 3, "hello") +
                   packed(data, 1, 3, " world") + packed(ping, 0, 0, "12345678") + packed(window_update, 0, 0, number(1000)));
    made.push_back(how + begin + packed(headers, 0, 1, post.substr(0, 3)) + packed(continuation, 4, 1, post.substr(3)) +
                   packed(data, 0, 1, "x") + packed(headers, 5, 1, std::string("\0\5x-sum\0013", 9)) + packed(rst_stream, 0, 1, number(8)));
  }
  made.push_back(std::string("\1\0", 2) + packed(settings, 0, 0, std::string("\0\4\0\0\0\1\0\5\0\0\x40\0\0\1\0\0\0\0", 18)) +
                 packed(settings, 1, 0) + packed(headers, 37, 1, number(3) + "\x10" + get_header) + packed(goaway, 0, 0, number(0) + number(0)));
  made.push_back("\1\1" + frame(settings, 0, 0) + get_request(1) + get_request(3) + frame(rst_stream, 0, 3, number(8)));
  return made;
}

void fuzz::run_one(std::string_view bytes) {
  fuzz::input from(bytes);
  std::uint8_t const how = from.byte();
  bool const raw = from.byte() % 2 != 0;
  talk here;
  auto const wire = here.connect();
  std::string got;
  auto const send = [&](std::string_view some) {
    for (int idle = 0; !some.empty(); ++idle) {
      REQUIRE(idle < 100);
      some.remove_prefix(wire->send(some));
      while (here.io()) {}
      serve(here, how);
      while (here.io()) {}
      got += wire->receive(SIZE_MAX);
    }
  };
  send(preface);
  if (raw) send(from.rest());
  while (!raw && !from.empty()) send(next_frame(from));

  here.requests.clear();
  REQUIRE(here.serves_others());
  wire->end();
  for (int idle = 0; idle != 2; ++idle) {
    while (here.io()) {}
    std::string const more = wire->receive(SIZE_MAX);
    if (!more.empty()) idle = 0;
    got += more;
  }
  REQUIRE(here.http().connections() == 1);  // that of the canary's talk
  while (take_frame(got)) {}
  REQUIRE(got.empty());
}
