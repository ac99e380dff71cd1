// SPDX-License-Identifier: MIT
//
// Any bytes as the client of an HTTP/1 connection. However they are cut into pieces, the handler gets the same requests and
// the client the same statuses; each request that the handler got has its response, in order; and nothing is left of the
// connection.

#include "support/target.hpp"

#include "../support/conversation.hpp"
#include "../support/http_server_test.hpp"
#include "../support/memory_transport.hpp"
#include "../support/simulation.hpp"

#include "websocket/handshake.hpp"

#include <cstdio>
#include <deque>
#include <memory>
#include <utility>

namespace server = kino::server;
using memory_test::memory_link;
using server::exchange;

namespace {

// Answers every request as soon as its body has arrived.
class answering final : public server::request_handler {
public:
  std::string seen;                // all of every request
  std::vector<bool> head_only;     // of each request

  /// Reads on in streamed bodies; returns whether one of them has ended.
  bool read_on() {
    if (streamed_.empty()) return false;
    for (char bytes[1000];;) {
      auto const got = exchange::of(streamed_.front()).read(bytes, sizeof bytes);
      if (got.length != 0) continue;
      if (got.what == server::body_pipe::state::open) return false;
      break;
    }
    http_server_test::answer(streamed_.front(), "");
    streamed_.pop_front();
    return true;
  }

private:
  void handle(exchange::reply&& reply) noexcept override {
    exchange& in_hand = exchange::of(reply);
    server::request const& head = in_hand.head();
    head_only.push_back(head.head_only());
    note(head.method()), note(head.target()), note(head.path()), note(head.query()), note(head.host()), note(head.host_port());
    for (auto const& field : head.fields().all()) note(head.fields().name(field)), note(head.fields().value(field));
    if (server::asks_websocket(head) && server::handshake_problem(head) == 0) {
      server::accept_key const key = server::accept_key_for(head);
      note({key.data(), key.size()});
    }
    if (in_hand.streamed()) return static_cast<void>(streamed_.push_back(std::move(reply)));
    note(http_server_test::read_body(in_hand));
    if (auto const* trailers = in_hand.received_trailers()) {
      for (auto const& field : trailers->all()) note(trailers->name(field)), note(trailers->value(field));
    }
    http_server_test::answer(reply, std::to_string(head_only.size()));
  }
  int status_for(kino::ending, exchange&) noexcept override { return 500; }
  void refused(int) noexcept override {}
  void quiet() noexcept override {}
  void note(std::string_view part) { seen.append(part).append("\n"); }

  std::deque<exchange::reply> streamed_;
};

// What the handler has seen of a client that sends these bytes so many at a time, and the statuses that the client got.
std::string outcome(std::string_view bytes, std::size_t step, bool streams) {
  answering handler;
  server::options chosen = streams ? http_server_test::streaming_settings() : http_server_test::patient_settings();
  chosen.connection.max_body_size = 10'000;
  chosen.http2 = false;
  server::http_server http(chosen, handler);
  server::endpoint const here{"127.0.0.1", "80"};
  stress::dice chance(1);
  auto const link = std::make_shared<memory_link>(http.first_thread().context(), chance, memory_test::faults{}, SIZE_MAX, SIZE_MAX);
  REQUIRE(http.admit());
  http.connected(link->make_transport(), {"192.0.2.1", "1"}, here, link->make_readiness());
  auto const settle = [&] {
    do simulation_test::run_all(http.first_thread());
    while (handler.read_on());
  };
  fuzz::in_pieces(bytes, step, [&](std::string_view piece) {
    REQUIRE(link->send(piece) == piece.size());
    settle();
  });
  link->end();
  settle();
  std::string const answers = link->receive(SIZE_MAX);
  settle();
  REQUIRE(http.connections() == 0);
  REQUIRE(http.live() == 0);
  REQUIRE(link->sees_end());

  std::size_t answered = 0;
  for (std::string_view rest = answers; !rest.empty();) {
    REQUIRE(rest.starts_with("HTTP/1.1 "));
    bool const bodiless = answered < handler.head_only.size() && handler.head_only[answered];
    auto const got = simulation_test::next_answer(rest, bodiless, true);
    handler.seen.append(" ").append(std::to_string(got.status));
    if (got.status != 200) {
      // Of the server itself. If the request had the method HEAD, which the handler has not seen, it has no body.
      if (!got.complete) break;
      continue;
    }
    REQUIRE(got.complete);
    ++answered;
    if (!streams && !bodiless) REQUIRE(got.body == std::to_string(answered));
  }
  if (!streams) REQUIRE(answered == handler.head_only.size());
  return handler.seen;
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::vector<std::string> made;
  // The first byte: the size of a piece, and whether bodies are streamed.
  for (std::uint32_t seed = 1; seed != 9; ++seed) {
    stress::dice chance(seed);
    std::string wire(1, static_cast<char>(seed * 31));
    for (std::size_t i = 0; i != 4 && wire.size() < 2000; ++i) {
      std::size_t const before = wire.size();
      static_cast<void>(simulation_test::make_request(chance, wire, 0, i, 100));
      if (wire.size() > 4000) wire.resize(before);  // a long body
    }
    made.push_back(std::move(wire));
  }
  made.emplace_back(
      "\1GET /chat?a=%20b HTTP/1.1\r\nHost: [::1]:0080\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x80mask");
  made.emplace_back("\3GET http://u.example:1/x HTTP/1.1\r\nHost: b\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  made.emplace_back(
      "\4POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
      "5;a=\"b\"\r\nhello\r\n0\r\nX-Sum: 1\r\nTrailer: no\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
  return made;
}

void fuzz::run_one(std::string_view bytes) {
  fuzz::input from(bytes);
  std::uint8_t const how = from.byte();
  bool const streams = how % 2 != 0;
  std::string const whole = outcome(from.rest(), SIZE_MAX, streams);
  std::string const pieces = outcome(from.rest(), 1 + how / 2 % 32, streams);
  // When bodies are streamed, it depends on the pieces what the handler has before the client's mistake.
  if (!streams) REQUIRE(whole == pieces);
}
