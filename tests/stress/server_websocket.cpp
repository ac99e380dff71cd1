// SPDX-License-Identifier: MIT
//
// WebSockets over sockets, by many threads: clients, I/O threads, workers that take turns, and threads that write and publish.

#include "admission/admission_queue.hpp"
#include "websocket/channel_hub.hpp"
#include "websocket/websocket.hpp"

#include "../support/await.hpp"
#include "../support/captured_log.hpp"
#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"
#include "../support/websocket_frames.hpp"

#include <kino/channel.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using namespace websocket_test;
using kind = server::websocket_event::kind;
using server::opcode;

namespace {

// A server whose workers echo messages, and check that events of one connection come in order, one at a time.
class echo_server final : public server::request_handler, public server::websocket_scheduler {
public:
  echo_server()
      : http_(*this, patient_settings(2)),
        waiting_(http_.get().first_thread(), std::chrono::hours(1), [this](server::work& any) { return offer(any); }) {
    for (int i = 0; i != 3; ++i) workers_.emplace_back([this] { work(); });
  }
  ~echo_server() {
    await([this] { return open_ == 0; });
    turns_.close();
    for (std::thread& each : workers_) each.join();
    waiting_.close();
    http_.get().stop();
  }

  [[nodiscard]] std::uint16_t port() { return http_.port(); }
  [[nodiscard]] server::channel_hub& hub() { return hub_; }
  // A random connection that has been open.
  [[nodiscard]] std::shared_ptr<server::websocket> some(stress::dice& chance) {
    std::lock_guard guard(mutex_);
    return sockets_.empty() ? nullptr : sockets_[chance.below(static_cast<std::uint32_t>(sockets_.size()))];
  }
  std::atomic<int> failures{0};

private:
  struct state final : server::websocket::companion {
    std::atomic<bool> busy{false};
    kind last = kind::none;
  };
  struct queued {
    server::websocket_turn turn;
    server::admission_queue::place place;
  };

  void handle(server::exchange::reply&& reply) noexcept override {
    server::exchange& asked = server::exchange::of(reply);
    server::websocket_interest all;
    for (int i = 1; i != 6; ++i) all.add(static_cast<kind>(i));
    server::websocket::settings chosen;
    chosen.most_unhandled = 2000;
    auto const socket = std::make_shared<server::websocket>(chosen, all, *this, std::make_unique<state>());
    {
      std::lock_guard guard(mutex_);
      if (sockets_.size() >= 20) sockets_.erase(sockets_.begin());
      sockets_.push_back(socket);
    }
    server::response_head& head = asked.response();
    static_cast<void>(head.start_upgrade("websocket"));
    std::shared_ptr<server::upgrade> const next = socket;
    reply.answer({.head = &head, .end = true, .upgrade = &next});
  }
  void schedule(server::websocket_turn&& turn) noexcept override { waiting_.enter(std::move(turn)); }
  void begun() noexcept override { ++open_; }
  void over() noexcept override { --open_; }
  server::admission_queue::fate offer(server::work& any) {
    queued one{std::move(any.turn), server::admission_queue::place(waiting_)};
    switch (turns_.try_push(std::move(one))) {
      case kino::push_result::pushed: return server::admission_queue::fate::accepted;
      case kino::push_result::full:
        any.turn = std::move(one.turn);
        one.place.refuse();
        return server::admission_queue::fate::full;
      default: any.turn = std::move(one.turn); return server::admission_queue::fate::closed;
    }
  }

  void work() {
    queued next;
    while (turns_.pop(next) == kino::pop_result::popped) {
      next.place.give_up();
      server::websocket& socket = *next.turn.of();
      auto& own = static_cast<state&>(*socket.with());
      if (own.busy.exchange(true)) ++failures;
      server::websocket_event event = next.turn.take();
      if (event.what != kind::none) {  // of a message that was dropped because the connection closes
        if (own.last == kind::none && event.what != kind::open) ++failures;
        if (own.last == kind::close) ++failures;
        own.last = event.what;
      }
      if (event.what == kind::open && !hub_.subscribe(next.turn.of(), "all", server::channel_hub::match::name)) socket.close(1000);
      if (event.what == kind::message) static_cast<void>(socket.write(opcode::text, event.data));
      own.busy = false;
      if (event.what == kind::message && event.data == "drop") {
        next.turn = {};
      } else {
        next.turn.finish();
      }
    }
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<server::websocket>> sockets_;
  std::atomic<int> open_{0};
  server::channel_hub hub_;
  kino::channel<queued> turns_{4};
  running_http_server http_;
  server::admission_queue waiting_;
  std::vector<std::thread> workers_;
};

constexpr std::string_view handshake =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

}  // namespace

TEST_CASE("WebSockets that many threads use") {
  captured_log const log;
  echo_server echo;
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  for (std::uint32_t i = 0; i != 2; ++i) {
    writers.emplace_back([&, i] {
      stress::dice chance(100 + i);
      while (!done) {
        if (chance.once_in(3)) static_cast<void>(echo.hub().publish("all", opcode::text).send("*published"));
        std::this_thread::yield();
        auto const one = echo.some(chance);
        if (!one) continue;
        static_cast<void>(one->write(opcode::text, "*written"));
        if (chance.once_in(500)) one->close(1000);
        if (chance.once_in(50)) one->set_ping_interval(std::chrono::seconds(1 + chance.below(100)));
      }
    });
  }
  std::vector<std::thread> clients;
  for (std::uint32_t i = 0; i != 4; ++i) {
    clients.emplace_back([&, i] {
      stress::dice chance(i + 1);
      for (std::size_t round = 0; round != stress::scaled(50); ++round) {
        client one(echo.port());
        one.send(handshake);
        if (!one.read_through("\r\n\r\n").starts_with("HTTP/1.1 101 ")) ++echo.failures;
        std::string bytes;
        std::size_t const most = 1 + chance.below(100);
        std::size_t sent = 0, echoed = 0;
        bool ended = false, dropped = false;
        while (!ended && (echoed != most || dropped)) {
          for (std::size_t burst = chance.below(20); burst != 0 && sent != most; --burst) {
            one.send(frame(text, std::to_string(sent++)));
            if (chance.once_in(10)) one.send(frame(ping, "p"));
          }
          if (sent == most && !dropped && chance.once_in(4)) {
            dropped = true;  // then the server closes
            one.send(frame(text, "drop"));
          }
          if (sent == echoed && !dropped) continue;
          std::string const more = one.read_some(SIZE_MAX);
          ended = more.empty();
          bytes += more;
          while (auto const got = take_frame(bytes)) {
            if (got->opcode == -2) ++echo.failures;
            if (got->opcode == closing) ended = true;
            if (got->opcode != text || got->payload.starts_with('*') || got->payload == "drop") continue;
            if (got->payload != std::to_string(echoed++)) ++echo.failures;
          }
        }
        if (chance.once_in(2)) one.send(close_frame(1000));
      }
    });
  }
  for (std::thread& each : clients) each.join();
  done = true;
  for (std::thread& each : writers) each.join();
  CHECK(echo.failures == 0);
}
