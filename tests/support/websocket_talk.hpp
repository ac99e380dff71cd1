// SPDX-License-Identifier: MIT
//
// For tests of WebSockets: a server with one connection in memory, which is upgraded, and its turns, in one thread.

#pragma once

#include "http/exchange.hpp"
#include "net/http_server.hpp"
#include "websocket/handshake.hpp"
#include "websocket/websocket.hpp"

#include "http_server_test.hpp"
#include "memory_transport.hpp"
#include "stress.hpp"
#include "websocket_frames.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace websocket_test {

namespace server = kino::server;
using memory_test::memory_link;

inline server::websocket_interest everything() {
  server::websocket_interest all;
  using kind = server::websocket_event::kind;
  for (kind const one : {kind::open, kind::message, kind::drained, kind::shutdown, kind::close}) all.add(one);
  return all;
}

/// How a talk begins.
struct talk_setup {
  server::websocket::settings settings = {};
  server::websocket_interest wanted = everything();
  memory_test::faults faults = {};
  std::size_t room = 1'000'000;  ///< Of the network, each way.
  bool upgrades = true;          ///< Do the handshake at once.
  std::function<void(server::websocket&)> before = {};  ///< What the application does before the connection has begun.
};

/// One client, and the handler of its WebSocket.
///
/// Threads: one, which plays the client, the I/O thread and the workers.
class talk final : public server::websocket_scheduler, private server::request_handler {
public:
  explicit talk(talk_setup chosen = {}, std::uint32_t seed = 1)
      : setup_(std::move(chosen)), chance(seed), http(http_server_test::patient_settings(), *this) {
    link = std::make_shared<memory_link>(http.first_thread().context(), chance, setup_.faults, setup_.room, setup_.room);
    REQUIRE(http.admit());
    http.connected(link->make_transport(), {"192.0.2.1", "1"}, here_, link->make_readiness());
    if (setup_.upgrades) upgrade();
  }
  ~talk() {
    refuses = true;
    http.close_connections();
    settle();
    drop_turns();
    CHECK(open == 0);
  }

  // --- the client ---

  /// Sends bytes, as the network takes them.
  void send(std::string_view bytes) {
    for (int idle = 0; !bytes.empty(); ++idle) {
      REQUIRE(idle < 100'000);
      bytes.remove_prefix(link->send(bytes));
      settle();
      arrived += link->receive(SIZE_MAX);
    }
  }
  void upgrade() {
    if (setup_.settings.speaks == server::dialect::events) {
      send("GET /events HTTP/1.1\r\nHost: test.example\r\nAccept: text/event-stream\r\n\r\n");
      return take_head("HTTP/1.1 200 ");
    }
    send("GET /chat HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    take_head("HTTP/1.1 101 ");
  }
  /// Takes the head of the response, which begins like that.
  void take_head(std::string_view start) {
    REQUIRE(socket);
    while (arrived.find("\r\n\r\n") == arrived.npos) {
      settle();
      arrived += link->receive(SIZE_MAX);
    }
    REQUIRE(arrived.starts_with(start));
    head = arrived.substr(0, arrived.find("\r\n\r\n") + 4);
    arrived.erase(0, head.size());
  }
  /// All that has arrived since the last call, which may be parts of a body.
  std::string take_arrived() {
    settle();
    arrived += link->receive(SIZE_MAX);
    return std::exchange(arrived, {});
  }
  /// The next frame that has arrived; opcode -1 if there is none.
  received next_frame() {
    settle();
    arrived += link->receive(SIZE_MAX);
    return take_frame(arrived, server::compresses(setup_.settings.speaks)).value_or(received{});
  }
  [[nodiscard]] bool sees_end() {
    settle();
    arrived += link->receive(SIZE_MAX);
    return link->sees_end();
  }

  // --- the I/O thread ---

  /// Until it has nothing to do.
  void settle() {
    while (http.first_thread().context().poll() != 0) {}
    http.first_thread().context().restart();
  }
  /// Lets so much time pass, besides what the test itself takes.
  void wait(server::clock::duration time) {
    waited_ += time;
    http.first_thread().deadlines().run(server::clock::now() + waited_);
    settle();
  }

  // --- workers ---

  /// The next event; `none` if no turn is due. The turn ends with it.
  server::websocket_event next_event() {
    settle();
    return take_event();
  }
  /// Likewise, without the I/O thread.
  server::websocket_event take_event() {
    if (turns.empty()) return {};
    server::websocket_turn turn = std::move(turns.front());
    turns.pop_front();
    server::websocket_event taken = turn.take();
    turn.finish();
    return taken;
  }
  /// The only turn that is due, unfinished.
  server::websocket_turn take_turn() {
    REQUIRE(turns.size() == 1);
    server::websocket_turn turn = std::move(turns.front());
    turns.clear();
    return turn;
  }
  /// Drops the turns that are due, unfinished; others may then be.
  void drop_turns() { std::exchange(turns, {}).clear(); }
  /// All events that are due, one letter each: o, m and the text of the message, d, s, c. Calls `on_message` with each message.
  std::string events(std::function<void(server::websocket_event const&)> const& on_message = nullptr) {
    std::string all;
    for (;;) {
      server::websocket_event const one = next_event();
      if (one.what == server::websocket_event::kind::none) return all;
      all += ".omdsc"[static_cast<int>(one.what)];
      if (one.what != server::websocket_event::kind::message) continue;
      all += one.data + ";";
      if (on_message) on_message(one);
    }
  }

private:
  talk_setup const setup_;

public:
  stress::dice chance;
  server::http_server http;
  std::shared_ptr<memory_link> link;
  std::shared_ptr<server::websocket> socket;
  std::deque<server::websocket_turn> turns;
  std::string arrived;
  std::string head;      ///< Of the response.
  int open = 0;          ///< WebSockets that have begun and are not over.
  bool refuses = false;  ///< Turns are discarded, as by a server that has ended.

private:
  void schedule(server::websocket_turn&& turn) noexcept override {
    if (refuses) return turn.discard();
    turns.push_back(std::move(turn));
  }
  void begun() noexcept override { ++open; }
  void over() noexcept override { --open; }
  void handle(server::exchange::reply&& reply) noexcept override {
    server::exchange& asked = server::exchange::of(reply);
    socket = std::make_shared<server::websocket>(setup_.settings, setup_.wanted, *this, nullptr);
    if (setup_.before) setup_.before(*socket);
    server::response_head& response = asked.response();
    if (setup_.settings.speaks == server::dialect::events) {
      static_cast<void>(response.start(200));
      static_cast<void>(response.add("content-type", "text/event-stream"));
    } else {
      static_cast<void>(response.start_upgrade("websocket"));
      server::accept_key const key = server::accept_key_for(asked.head());
      static_cast<void>(response.add("sec-websocket-accept", {key.data(), key.size()}));
    }
    std::shared_ptr<server::upgrade> const next = socket;
    reply.answer({.head = &response, .end = true, .upgrade = &next});
  }

  server::endpoint const here_{"127.0.0.1", "1"};
  server::clock::duration waited_{};
};

}  // namespace websocket_test
