// SPDX-License-Identifier: MIT
//
// A response_sink for exchanges without a connection.

#pragma once

#include "http/response_sink.hpp"

#include <utility>

namespace null_sink_test {

/// Takes every response, and sends none.
class null_sink final : public kino::server::response_sink {
public:
  using exchange = kino::server::exchange;
  using delivery = kino::server::delivery;
  using endpoint = kino::server::endpoint;

  null_sink() = default;
  null_sink(endpoint peer, endpoint local) : peer_(std::move(peer)), local_(std::move(local)) {}

  delivery send(exchange&, kino::server::response_part const&) noexcept override { return delivery::taken; }
  delivery interim(exchange&, kino::server::response_head const&) noexcept override { return delivery::taken; }
  void flush(exchange&) noexcept override {}
  bool await_room(exchange&) override { return false; }
  void cut(exchange&) override {}
  void unanswered(exchange&, kino::ending) noexcept override {}
  void resume_reading(exchange&) override {}
  bool client_gone(exchange const&) override { return false; }
  endpoint const& peer() const override { return peer_; }
  endpoint const& local() const override { return local_; }
  void release() noexcept override {}

private:
  endpoint const peer_{};
  endpoint const local_{};
};

/// One that all exchanges of a test may share.
inline null_sink& nowhere() {
  static null_sink one;
  return one;
}

}  // namespace null_sink_test
