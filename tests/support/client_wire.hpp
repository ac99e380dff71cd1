// SPDX-License-Identifier: MIT
//
// The client's end of a simulated connection: plain, or with TLS.

#pragma once

#include "memory_transport.hpp"

#ifdef KINO_TLS_LIBRARY
#include "net/tls_transport.hpp"

#include "tls_client.hpp"
#endif

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace simulation_test {

namespace server = kino::server;
using memory_test::memory_link;

/// A client_wire carries the bytes of one client.
class client_wire {
public:
  struct progress {
    bool moved;         ///< Something has happened ...
    std::size_t taken;  ///< ... and so many of the given bytes have been sent. The others are given again.
  };

  explicit client_wire(std::shared_ptr<memory_link> link) : link_(std::move(link)) {}
  virtual ~client_wire() = default;

  [[nodiscard]] virtual std::unique_ptr<server::transport> make_transport() { return link_->make_transport(); }
  [[nodiscard]] virtual progress send(std::string_view bytes) {
    std::size_t const taken = link_->send(bytes);
    return {taken != 0, taken};
  }
  /// Takes at most `most` of the bytes that have arrived; returns what they mean.
  [[nodiscard]] virtual std::string receive(std::size_t most) { return link_->receive(most); }
  [[nodiscard]] memory_link& link() { return *link_; }
  [[nodiscard]] memory_link const& link() const { return *link_; }

protected:
  std::shared_ptr<memory_link> const link_;
};

#ifdef KINO_TLS_LIBRARY

/// With TLS. All runs of a seed are the same: an RSA signature has the same length, whatever is signed.
class encrypted_wire final : public client_wire {
public:
  encrypted_wire(std::shared_ptr<memory_link> link, int version)
      : client_wire(std::move(link)), tls_({.least = version, .most = version}) {}

  std::unique_ptr<server::transport> make_transport() override {
    return std::make_unique<server::tls_transport>(link_->make_transport(), context(), nullptr);
  }
  progress send(std::string_view bytes) override {
    if (encrypted_.empty() && !tls_.established()) step();
    if (encrypted_.empty() && tls_.established()) {
      tls_.write(bytes);
      encrypted_ = tls_.take_output();
      waiting_ = bytes.size();
    }
    std::size_t const sent = encrypted_.empty() ? 0 : link_->send(encrypted_);
    encrypted_.erase(0, sent);
    return {sent != 0, encrypted_.empty() ? std::exchange(waiting_, 0) : 0};
  }
  std::string receive(std::size_t most) override {
    tls_.give_input(link_->receive(most));
    step();
    std::string fresh = tls_.received().substr(taken_);
    taken_ += fresh.size();
    return fresh;
  }

private:
  static server::tls::context& context() {
    static auto const keys = tls_test::ticket_keys();
    static auto const made = server::make_tls_context(
        tls_test::settings_of(tls_test::identity("test.example", 3600, nullptr, tls_test::key_kind::rsa)), *keys, {"http/1.1"});
    return *made;
  }
  void step() {
    tls_.step();
    encrypted_ += tls_.take_output();
  }

  tls_test::client tls_;
  std::string encrypted_;  // not sent yet
  std::size_t waiting_ = 0;  // bytes that are sent when all of it is
  std::size_t taken_ = 0;
};

#endif

}  // namespace simulation_test
