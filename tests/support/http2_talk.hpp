// SPDX-License-Identifier: MIT
//
// A server and one client of HTTP/2 in one thread, which a test moves step by step.

#pragma once

#include "http_server_test.hpp"
#include "http2_client.hpp"
#include "memory_transport.hpp"
#include "stress.hpp"

#include "net/io_thread.hpp"

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http2_test {

namespace server = kino::server;

/// A talk is a client and its connection. Requests wait in `requests` until the test answers them.
class talk final : public server::request_handler, public server::observer {
public:
  explicit talk(server::options settings = http_server_test::patient_settings(), memory_test::faults faults = {},
                std::uint32_t seed = 1, std::uint32_t window = 65535, bool reads = true)
      : peer(window, reads), chance_(seed), http_(observed(std::move(settings)), *this) {
    wire_ = connect(faults);
  }
  ~talk() {
    requests.clear();
    http_.close_connections();
    while (io()) {}
  }

  /// Runs the I/O thread, and moves bytes both ways, until nothing happens any more.
  void settle() {
    for (int idle = 0; idle < 20;) {
      bool moved = io();
      if (unsent_.empty()) unsent_ = peer.output();
      std::size_t const sent = unsent_.empty() ? 0 : wire_->send(unsent_);
      unsent_.erase(0, sent);
      moved |= sent != 0;
      if (std::string const got = wire_->receive(SIZE_MAX); !got.empty()) {
        valid_ &= peer.input(got);
        moved = true;
      }
      idle = moved ? 0 : idle + 1;
    }
  }
  /// Another connection to the server; `agreed` as transport::application_protocol.
  [[nodiscard]] std::shared_ptr<memory_test::memory_link> connect(memory_test::faults faults = {}, std::string_view agreed = {}) {
    auto made = std::make_shared<memory_test::memory_link>(context(), chance_, faults, 100'000, 100'000);
    made->application_protocol = agreed;
    static_cast<void>(http_.admit());
    http_.connected(made->make_transport(), {"192.0.2.1", "1"}, here_, made->make_readiness());
    return made;
  }
  /// The time is `later` from now for all deadlines of the I/O thread.
  void pass(server::clock::duration later) {
    http_.first_thread().deadlines().run(server::clock::now() + later);
    settle();
  }

  /// Whether another client of the same server gets a response.
  [[nodiscard]] bool serves_others() {
    client other;
    auto const wire = connect();
    std::int32_t const asked = other.request("GET", "/canary");
    for (int i = 0; i < 100 && !other.at(asked).closed; ++i) {
      static_cast<void>(wire->send(other.output()));
      while (io()) {}
      if (!requests.empty() && server::exchange::of(requests.back()).head().path() == "/canary") {
        http_server_test::answer(requests.back(), "alive");
        requests.pop_back();
      }
      static_cast<void>(other.input(wire->receive(SIZE_MAX)));
    }
    wire->end();
    while (io()) {}
    return other.at(asked).body == "alive";
  }

  /// Takes the oldest request.
  server::exchange::reply take() {
    server::exchange::reply taken = std::move(requests.front());
    requests.pop_front();
    return taken;
  }

  [[nodiscard]] memory_test::memory_link& wire() { return *wire_; }
  [[nodiscard]] server::http_server& http() { return http_; }
  /// Whether all that the server sent was HTTP/2.
  [[nodiscard]] bool valid() const { return valid_; }

  client peer;
  std::deque<server::exchange::reply> requests;
  std::vector<server::exchange_report> reports;
  int refusals = 0;
  int calls = 0;  ///< of the handler

  asio::io_context& context() { return http_.first_thread().context(); }
  bool io() {
    bool const did = context().poll_one() != 0;
    context().restart();
    return did;
  }

private:
  server::options observed(server::options settings) {
    settings.observes = std::shared_ptr<server::observer>(std::shared_ptr<void>(), this);
    return settings;
  }
  void handle(server::exchange::reply&& reply) noexcept override {
    ++calls;
    requests.push_back(std::move(reply));
  }
  int status_for(kino::ending, server::exchange&) noexcept override { return 500; }
  void refused(int) noexcept override { ++refusals; }
  void ended(server::exchange_report const& report) noexcept override { reports.push_back(report); }

  stress::dice chance_;
  server::endpoint const here_{"127.0.0.1", "80"};
  server::http_server http_;
  std::shared_ptr<memory_test::memory_link> wire_;
  std::string unsent_;
  bool valid_ = true;
};

}  // namespace http2_test
