// SPDX-License-Identifier: MIT
//
// For tests of event streams and WebSockets over HTTP/2: what their application does.

#pragma once

#include "http2_talk.hpp"

#include "websocket/websocket.hpp"

#include <deque>
#include <memory>
#include <string>
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

}  // namespace http2_test
