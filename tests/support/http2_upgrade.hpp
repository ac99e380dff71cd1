// SPDX-License-Identifier: MIT
//
// For tests of event streams and WebSockets over HTTP/2: what their application does.

#pragma once

#include "http2_talk.hpp"

#include "websocket/event_stream.hpp"
#include "websocket/websocket.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

namespace http2_test {

/// The turns of connections, which the test takes.
class turns final : public server::websocket_scheduler {
public:
  ~turns() { refuses = true; }

  /// All events that are due, one letter each: o, m and the text of the message, d, s, c.
  std::string events() {
    std::string all;
    while (!due.empty()) {
      server::websocket_turn turn = std::move(due.front());
      due.pop_front();
      server::websocket_event const one = turn.take();
      all += ".omdsc"[static_cast<int>(one.what)];
      if (one.what == server::websocket_event::kind::message) all += one.data + ";";
      turn.finish();
    }
    return all;
  }

  int open = 0;
  bool refuses = false;
  std::deque<server::websocket_turn> due;

private:
  void schedule(server::websocket_turn&& turn) noexcept override {
    if (refuses) return turn.discard();
    due.push_back(std::move(turn));
  }
  void begun() noexcept override { ++open; }
  void over() noexcept override { --open; }
};

inline server::websocket_interest everything() {
  server::websocket_interest all;
  using kind = server::websocket_event::kind;
  for (kind const one : {kind::open, kind::message, kind::drained, kind::shutdown, kind::close}) all.add(one);
  return all;
}

/// Answers the oldest request with a stream that carries something else; `type`: of the content, if it is not empty.
inline std::shared_ptr<server::websocket> upgrade_stream(talk& here, turns& with, server::websocket::settings const& chosen,
                                                         std::string_view type = {}) {
  auto made = std::make_shared<server::websocket>(chosen, everything(), with, nullptr);
  auto const reply = here.take();
  server::response_head& head = server::exchange::of(reply).response();
  static_cast<void>(head.start(200));
  if (!type.empty()) static_cast<void>(head.add("content-type", type));
  std::shared_ptr<server::upgrade> const next = made;
  reply.answer({.head = &head, .end = true, .upgrade = &next});
  return made;
}

/// The settings of a server that offers WebSockets over HTTP/2.
inline kino::server::options offering_websockets() {
  kino::server::options chosen = http_server_test::patient_settings();
  chosen.connection.http2_websockets = true;
  return chosen;
}

/// The header of a request for a WebSocket (RFC 8441).
inline fields const websocket_request{{":method", "CONNECT"},         {":protocol", "websocket"}, {":scheme", "http"},
                                      {":authority", "test.example"}, {":path", "/chat?room=1"},  {"sec-websocket-version", "13"}};

inline server::websocket::settings of_events() {
  server::websocket::settings chosen;
  chosen.speaks = server::dialect::events;
  return chosen;
}

/// Answers the oldest request with an event stream.
inline std::shared_ptr<server::websocket> stream_events(talk& here, turns& with, server::websocket::settings const& chosen = of_events()) {
  return upgrade_stream(here, with, chosen, "text/event-stream");
}

/// What a client gets of an event.
inline std::string event(std::string const& data) { return *server::encode_event(data); }

/// A server and its client with one stream, which carries something else.
struct upgraded_talk {
  struct reader {
    std::uint32_t window = 65535;
    bool reads = true;  ///< See client.
  };

  upgraded_talk(server::options settings, reader of) : here(std::move(settings), {}, 1, of.window, of.reads) {}

  [[nodiscard]] stream& seen() { return here.peer.at(asked); }
  void send(std::string const& bytes) {
    here.peer.send_body(asked, bytes);
    here.settle();
  }

  turns with;
  talk here;
  std::int32_t asked = 0;
  std::shared_ptr<server::websocket> socket;
};

/// ... an event stream.
struct event_stream_talk : upgraded_talk {
  explicit event_stream_talk(reader of = {}, server::websocket::settings const& chosen = of_events())
      : upgraded_talk(http_server_test::patient_settings(), of) {
    asked = here.peer.request("GET", "/events");
    here.settle();
    socket = stream_events(here, with, chosen);
    here.settle();
  }
};

/// ... a WebSocket.
struct websocket_stream_talk : upgraded_talk {
  explicit websocket_stream_talk(reader of = {}, server::websocket::settings const& chosen = {})
      : upgraded_talk(offering_websockets(), of) {
    std::tie(asked, socket) = open(chosen);
  }

  /// Opens a WebSocket on the connection; returns its stream, and the server's end.
  std::pair<std::int32_t, std::shared_ptr<server::websocket>> open(server::websocket::settings const& chosen = {}) {
    std::int32_t const stream = here.peer.raw_request(websocket_request, true);
    here.settle();
    auto made = upgrade_stream(here, with, chosen);
    here.settle();
    return {stream, std::move(made)};
  }
};

}  // namespace http2_test
