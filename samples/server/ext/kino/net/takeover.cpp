// SPDX-License-Identifier: MIT

#include "net/takeover.hpp"

#include "http/upgrade.hpp"
#include "net/plain_transport.hpp"
#include "net/socket_calls.hpp"
#include "net/socket_relay.hpp"

#include <cerrno>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace kino::server {

namespace {

// The protocol of a connection whose socket belongs to the application: it closes the server's descriptor.
class forgotten final : public protocol {
public:
  forgotten(protocol::host& connection, transport& to) : host_(connection), transport_(to) {}
  void start(std::string_view) override { host_.close(); }
  void drain() override {}
  void close() noexcept override { transport_.close(transport::ending::orderly); }
  [[nodiscard]] bool wants_input() const override { return false; }
  [[nodiscard]] std::span<char> read_space(std::span<char>) override { return {}; }
  [[nodiscard]] bool received(std::span<char>, std::size_t) override { return false; }
  void input_ended() override {}
  void output_ready() noexcept override {}
  void attend() override {}
  void flush_late() noexcept override {}

private:
  protocol::host& host_;
  transport& transport_;
};

class forgetting final : public upgrade {
public:
  std::unique_ptr<protocol> begin(protocol_context const&, protocol::host& connection, transport& to) override {
    return std::make_unique<forgotten>(connection, to);
  }
};

class relaying final : public upgrade {
public:
  explicit relaying(std::unique_ptr<transport> application) : application_(std::move(application)) {}
  std::unique_ptr<protocol> begin(protocol_context const& shared, protocol::host& connection, transport& to) override {
    return std::make_unique<socket_relay>(shared, connection, to, std::move(application_));
  }

private:
  std::unique_ptr<transport> application_;
};

// A descriptor that is closed unless it is released.
class owned_descriptor {
public:
  explicit owned_descriptor(int descriptor) : descriptor_(descriptor) {}
  owned_descriptor(owned_descriptor const&) = delete;
  ~owned_descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] bool valid() const { return descriptor_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

private:
  int descriptor_;
};

int take_over(exchange::reply const& request, owned_descriptor& given, std::shared_ptr<upgrade> const& next) {
  if (!request.answer({.end = true, .upgrade = &next})) {
    throw std::system_error(EPIPE, std::generic_category(), "kino: the request has ended");
  }
  return given.release();
}

}  // namespace

int take_over_connection(exchange::reply const& request) {
  exchange& from = exchange::of(request);
  if (char const* const obstacle = takeover_obstacle(from)) {
    throw std::invalid_argument(std::string("kino: the connection cannot be taken over: ") + obstacle);
  }
  if (from.client_gone()) throw std::system_error(EPIPE, std::generic_category(), "kino: the client has disconnected");
  auto const forget = std::make_shared<forgetting>();
  if (owned_descriptor own(from.duplicate_socket()); own.valid()) return take_over(request, own, forget);
  int ends[2];
  if (!open_socket_pair(ends)) {
    throw std::system_error(errno, std::generic_category(), "kino: the connection cannot be taken over");
  }
  owned_descriptor given(ends[0]);
  return take_over(request, given, std::make_shared<relaying>(plain_transport::own(ends[1])));
}

}  // namespace kino::server
