// SPDX-License-Identifier: MIT
//
// A connection in memory: a transport without a socket, the client's end of it, and injected faults.

#pragma once

#include "base/transport.hpp"
#include "base/readiness.hpp"

#include "stress.hpp"

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace memory_test {

namespace server = kino::server;
using server::io_result;
using server::readiness;

/// The frequency of each fault: one in so many calls of the transport; 0: never.
struct faults {
  std::uint32_t part = 0;     ///< It reads or writes only some of the bytes that it could.
  std::uint32_t blocked = 0;  ///< It does nothing, although it could.
  std::uint32_t crossed = 0;  ///< It has to write before it can read, or read before it can write, as TLS may.
  std::uint32_t reset = 0;    ///< The connection is lost.
  std::uint32_t ahead = 0;    ///< It takes more than it returns, and the descriptor is no longer readable, as with TLS.
};

/// A memory_link is two queues of bytes, to the server and to the client.
///
/// Threads: one, which plays the client, the I/O thread and the workers.
/// Lifetime: counted by the client, the transport and the readiness.
class memory_link final : public std::enable_shared_from_this<memory_link> {
public:
  /// `to_server_room` and `to_client_room` are the capacities of the queues in bytes. The I/O thread's handlers run in
  /// `context`.
  memory_link(asio::io_context& context, stress::dice& chance, faults wanted, std::size_t to_server_room,
              std::size_t to_client_room)
      : context_(context), chance_(chance), faults_(wanted), to_server_room_(to_server_room), to_client_room_(to_client_room) {
    to_client_.reserve(std::min<std::size_t>(to_client_room, 4096));  // a write must not fail for lack of memory
  }

  /// The transport will send files, as a socket does. To be called before it is made.
  void send_files() { sends_files_ = true; }
  [[nodiscard]] std::unique_ptr<server::transport> make_transport();
  [[nodiscard]] std::unique_ptr<readiness> make_readiness();

  // --- the client's end ---

  /// Sends as many bytes as there is room for; returns their number.
  std::size_t send(std::string_view bytes) {
    if (reset_ || closed_) return bytes.size();  // lost
    std::size_t const length = std::min(bytes.size(), to_server_room_ - to_server_.size());
    to_server_.append(bytes.substr(0, length));
    announce();
    return length;
  }
  /// Shuts down the client's sending side.
  void end() { ended_by_client_ = true, announce(); }
  void reset() { reset_ = true, announce(); }
  /// Returns at most `most` of the bytes that have arrived.
  std::string receive(std::size_t most) {
    std::string const taken = to_client_.substr(0, most);
    to_client_.erase(0, taken.size());
    announce();
    return taken;
  }
  [[nodiscard]] bool sees_bytes() const { return !to_client_.empty(); }
  [[nodiscard]] bool sees_end() const { return to_client_.empty() && (ended_by_server_ || lost()); }
  /// Whether the connection was reset, so the received bytes may be incomplete.
  [[nodiscard]] bool lost() const { return reset_; }
  /// Whether the server has closed the transport.
  [[nodiscard]] bool closed() const { return closed_; }

  std::string_view application_protocol;  ///< See transport.

private:
  class transport_end;
  class readiness_end;

  static std::size_t index(readiness::event what) { return what == readiness::event::readable ? 0 : 1; }
  bool met(std::uint32_t once_in) { return once_in != 0 && chance_.once_in(once_in); }
  // At least a sixteenth, so large amounts are not split into too many parts.
  std::size_t part_of(std::size_t length) {
    std::size_t const least = length / 16;
    return least + 1 + chance_.below(static_cast<std::uint32_t>(length - least));
  }

  io_result read(std::span<char> into) {
    read_first_ = false;
    if (reset_ || met(faults_.reset)) return lose();
    write_first_ = met(faults_.crossed);
    if (write_first_) return {io_result::state::wants_writable};
    if (!to_server_.empty() && met(faults_.ahead)) ahead_ += std::exchange(to_server_, {});
    std::string& from = ahead_.empty() ? to_server_ : ahead_;
    if (from.empty() && ended_by_client_) return {io_result::state::end};
    if (from.empty() || (ahead_.empty() && met(faults_.blocked))) return {io_result::state::wants_readable};
    std::size_t length = std::min(into.size(), from.size());
    if (length > 1 && met(faults_.part)) length = std::min(length, part_of(length));
    std::memcpy(into.data(), from.data(), length);
    from.erase(0, length);
    return {io_result::state::done, length};
  }
  io_result write(std::span<iovec const> pieces) {
    if (reset_ || ended_by_server_ || met(faults_.reset)) return lose();
    read_first_ = met(faults_.crossed);
    if (read_first_) return announce(), io_result{io_result::state::wants_readable};
    std::size_t const room = some_room();
    if (room == 0) return {io_result::state::wants_writable};
    std::size_t length = 0;
    for (iovec const& piece : pieces) {
      std::size_t const some = std::min(piece.iov_len, room - length);
      if (some != 0) to_client_.append(static_cast<char const*>(piece.iov_base), some);
      length += some;
    }
    return {io_result::state::done, length};
  }
  // Not crossed: only plain sockets send files.
  io_result write_file(int file, std::uint64_t offset, std::size_t most) {
    if (reset_ || ended_by_server_ || met(faults_.reset)) return lose();
    std::size_t const room = some_room();
    if (room == 0) return {io_result::state::wants_writable};
    std::size_t const before = to_client_.size();
    to_client_.resize(before + std::min(room, most));
    ssize_t const got = ::pread(file, to_client_.data() + before, to_client_.size() - before, static_cast<off_t>(offset));
    to_client_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got <= 0) return {io_result::state::end};
    return {io_result::state::done, static_cast<std::size_t>(got)};
  }
  // 0: it is full, or does as if it were.
  std::size_t some_room() {
    std::size_t const room = to_client_room_ - to_client_.size();
    if (room == 0 || met(faults_.blocked)) return 0;
    return room > 1 && met(faults_.part) ? std::min(room, part_of(room)) : room;
  }
  io_result lose() {
    reset_ = true;
    return announce(), io_result{io_result::state::failed};
  }

  [[nodiscard]] bool is(readiness::event what) const {
    if (reset_) return true;
    if (what == readiness::event::readable) return !to_server_.empty() || ended_by_client_ || read_first_;
    return to_client_.size() < to_client_room_ || write_first_;
  }
  // Posts a call of each waiter whose event has occurred to the I/O thread.
  void announce() {
    for (readiness::event const what : {readiness::event::readable, readiness::event::writable}) {
      std::size_t const i = index(what);
      if (!waiting_[i] || !is(what) || std::exchange(posted_[i], true)) continue;
      asio::post(context_, [self = shared_from_this(), what, i] {
        self->posted_[i] = false;
        if (auto const to = std::exchange(self->waiting_[i], nullptr)) (*to)->ready(what);
      });
    }
  }

  asio::io_context& context_;
  stress::dice& chance_;
  faults const faults_;
  std::size_t const to_server_room_;
  std::size_t const to_client_room_;
  std::string to_server_;
  std::string ahead_;  // taken from it, and not yet returned
  std::string to_client_;
  bool ended_by_client_ = false;
  bool ended_by_server_ = false;
  bool reset_ = false;
  bool closed_ = false;
  bool sends_files_ = false;
  bool read_first_ = false;   // the last write said that it wants to be readable
  bool write_first_ = false;  // the last read said that it wants to be writable
  std::array<std::unique_ptr<readiness::reference>, 2> waiting_;
  std::array<bool, 2> posted_{};
};

class memory_link::transport_end final : public server::transport {
public:
  explicit transport_end(std::shared_ptr<memory_link> of) : link_(std::move(of)) {}
  io_result read_some(std::span<char> into) noexcept override { return link_->read(into); }
  bool has_input() const noexcept override { return !link_->ahead_.empty(); }
  io_result write_some(std::span<iovec const> pieces) noexcept override { return link_->write(pieces); }
  bool sends_files() const noexcept override { return link_->sends_files_; }
  io_result send_file(int file, std::uint64_t offset, std::size_t length) noexcept override { return link_->write_file(file, offset, length); }
  void shutdown_write() noexcept override { link_->ended_by_server_ = true; }
  void close(ending how) noexcept override {
    link_->closed_ = link_->ended_by_server_ = true;
    link_->reset_ |= how == ending::reset || !link_->to_server_.empty();  // as TCP does with what was not read
  }
  [[nodiscard]] std::uint64_t unacknowledged() const noexcept override { return link_->to_client_.size(); }
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] std::string_view application_protocol() const noexcept override { return link_->application_protocol; }

private:
  std::shared_ptr<memory_link> const link_;
};

class memory_link::readiness_end final : public readiness {
public:
  explicit readiness_end(std::shared_ptr<memory_link> of) : link_(std::move(of)) {}
  void wait(event what, reference to) override {
    link_->waiting_[index(what)] = std::make_unique<reference>(std::move(to));
    link_->announce();
  }
  void stop() noexcept override {
    for (auto& each : link_->waiting_) std::exchange(each, nullptr);
  }

private:
  std::shared_ptr<memory_link> const link_;
};

inline std::unique_ptr<server::transport> memory_link::make_transport() {
  return std::make_unique<transport_end>(shared_from_this());
}
inline std::unique_ptr<readiness> memory_link::make_readiness() {
  return std::make_unique<readiness_end>(shared_from_this());
}

}  // namespace memory_test
