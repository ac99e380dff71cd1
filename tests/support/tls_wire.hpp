// SPDX-License-Identifier: MIT
//
// A TLS connection in memory, both ends of it, moved on step by step by one thread.

#pragma once

#include "net/tls_transport.hpp"

#include "memory_transport.hpp"
#include "tls_client.hpp"

#include <asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tls_test {

using memory_test::faults;
using memory_test::memory_link;
using server::io_result;
using server::readiness;
using server::transport;

/// What the observer of a handshake has been told.
struct told {
  int calls = 0;
  int succeeded = 0;
  std::optional<tls::failure> failed;
  std::string words;
};

class observer final : public server::handshake_observer {
public:
  explicit observer(told& to) : to_(to) {}
  void succeeded(tls::session const&) noexcept override { ++to_.calls, ++to_.succeeded; }
  void failed(tls::failure why, char const* words) noexcept override {
    ++to_.calls;
    to_.failed = why;
    to_.words = words;
  }

private:
  told& to_;
};

/// Whether an event has been waited for and has come, as a connection knows it.
class waiter final : public readiness::waiter {
public:
  enum class state : std::uint8_t { idle, waiting, came };
  void ready(readiness::event what) noexcept override { of(what) = state::came; }
  void hold() noexcept override {}
  void drop() noexcept override {}
  state& of(readiness::event what) { return what == readiness::event::readable ? readable_ : writable_; }
  bool take(readiness::event what) {
    if (of(what) != state::came) return false;
    of(what) = state::idle;
    return true;
  }

private:
  state readable_ = state::idle;
  state writable_ = state::idle;
};

/// A context with the default identity, for all tests of a program.
inline tls::context& default_context() {
  static auto const keys = ticket_keys();
  static auto const made =
      server::make_tls_context(settings_of(default_identity()), *keys, {"http/1.1"});
  return *made;
}

/// A server that reads and writes only when its transport can go on, and its client.
class wire {
public:
  explicit wire(client_options const& wanted = {}, faults met = {}, std::uint32_t seed = 1, std::size_t room = 1 << 20,
                tls::context& with = default_context())
      : peer(wanted), chance_(seed), link_(std::make_shared<memory_link>(io_, chance_, met, room, room)) {
    ours = std::make_unique<server::tls_transport>(link_->make_transport(), with, std::make_unique<observer>(result));
    events_ = link_->make_readiness();
  }
  ~wire() { events_->stop(); }

  /// The client, the connection and the server each do what they can, once. Returns whether anything has happened.
  bool turn() {
    bool const moved = carry();
    io_.restart();
    io_.poll();
    for (auto const what : {readiness::event::readable, readiness::event::writable}) {
      if (!waits_.take(what)) continue;
      if (read_waits_ == what) read_waits_.reset();
      if (write_waits_ == what) write_waits_.reset();
    }
    bool const read = !read_waits_ && !over;
    if (read) read_some();
    bool const wrote = !to_send.empty() && result.succeeded == 1 && !write_waits_;
    if (wrote) write_some();
    return moved || read || wrote;
  }
  /// Until none of them can do anything.
  void run() {
    for (int idle = 0; idle < 3; idle = turn() ? 0 : idle + 1) {}
  }
  void raw(std::string_view bytes) { unsent_ += bytes; }
  void end() { link_->end(); }
  void reset() { link_->reset(); }

  std::string received;        // by the server
  std::string to_send;         // by the server
  std::size_t read_size = 8192;
  std::size_t carried_at_once = 1 << 20;
  bool client_reads = true;
  told result;
  std::optional<io_result::state> over;  // why the server reads no more
  client peer;
  std::unique_ptr<transport> ours;
  std::string plain;  // what came before the client could decrypt anything
  bool speaks_tls = true;
  /// Changes bytes of the client on their way to the server.
  std::function<void(std::string&)> tamper;

private:
  void wait(io_result::state what, std::optional<readiness::event>& as) {
    as = what == io_result::state::wants_readable ? readiness::event::readable : readiness::event::writable;
    if (std::exchange(waits_.of(*as), waiter::state::waiting) != waiter::state::waiting) {
      events_->wait(*as, readiness::reference(waits_));
    }
  }
  bool carry() {
    if (speaks_tls) {
      peer.step();
      std::string output = peer.take_output();
      if (tamper) tamper(output);
      unsent_ += output;
    }
    std::size_t const sent = unsent_.empty() ? 0 : link_->send(std::string_view(unsent_).substr(0, carried_at_once));
    unsent_.erase(0, sent);
    std::string const got = client_reads ? link_->receive(carried_at_once) : "";
    if (speaks_tls) peer.give_input(got);
    plain += got;
    return sent != 0 || !got.empty();
  }
  void read_some() {
    std::string into(read_size, '\0');
    io_result const got = ours->read_some(into);
    switch (got.what) {
      case io_result::state::done:
        received.append(into, 0, got.bytes);
        // As a connection: bytes that are decrypted already make no descriptor readable.
        if (!ours->has_input()) wait(io_result::state::wants_readable, read_waits_);
        break;
      case io_result::state::wants_readable:
      case io_result::state::wants_writable: wait(got.what, read_waits_); break;
      default: over = got.what;
    }
  }
  void write_some() {
    std::size_t const half = to_send.size() / 3;
    iovec const pieces[] = {{to_send.data(), half}, {to_send.data() + half, to_send.size() - half}};
    io_result const sent = ours->write_some(pieces);
    if (sent.done()) {
      to_send.erase(0, sent.bytes);
    } else if (!sent.failed()) {
      wait(sent.what, write_waits_);
    } else {
      to_send.clear();
    }
  }

  asio::io_context io_;
  stress::dice chance_;
  std::shared_ptr<memory_link> link_;
  std::unique_ptr<readiness> events_;
  waiter waits_;
  std::optional<readiness::event> read_waits_;
  std::optional<readiness::event> write_waits_;
  std::string unsent_;
};

inline std::string random_bytes(stress::dice& chance, std::size_t length) {
  std::string made(length, '\0');
  for (char& one : made) one = static_cast<char>(chance.below(256));
  return made;
}

}  // namespace tls_test
