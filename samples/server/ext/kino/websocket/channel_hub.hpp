// SPDX-License-Identifier: MIT
//
// Publish and subscribe: what is sent to many WebSockets and event streams at once.

#pragma once

#include "websocket/frame.hpp"

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kino::server {

class websocket;

/// Whether a channel's name matches a pattern: `*` stands for any bytes, `?` for one, and a backslash makes the next one
/// stand for itself. Takes at most time in proportion to the product of both lengths.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view name) noexcept;

/// A channel_hub knows which WebSockets have subscribed to which channels, by name or by a pattern.
///
/// A message is encoded once for each dialect, compressed for those that have that, and each subscriber is written to by the thread that publishes, like by any other writer: a
/// subscriber that is too slow loses its connection (websocket::settings::most_kept), and delays no other. One with
/// several subscriptions that fit gets the message several times. What one thread publishes comes in that order. Event
/// streams get text only.
///
/// A subscription ends with `unsubscribe` or with its connection.
///
/// Threads: any.
/// Blocks:  never, except for a leaf mutex, which is not held while messages are sent.
/// Throws:  std::bad_alloc, from what is not noexcept; then nothing has changed, and nothing was sent.
class channel_hub {
public:
  /// A message on its way to the clients that had subscribed when it was made.
  class publication {
  public:
    /// Whether to encode and send `size` bytes takes so long that a caller should not hold a lock: the GVL.
    [[nodiscard]] bool takes_long(std::size_t size) const;
    /// Sends it. Returns the number of connections that took it.
    std::size_t send(std::string_view data);

  private:
    friend class channel_hub;
    explicit publication(opcode kind) : kind_(kind) {}
    void add(std::shared_ptr<websocket>&& open);

    opcode const kind_;
    std::array<bool, dialects> wanted_{};
    std::array<shared_frame, dialects> forms_;
    std::vector<std::shared_ptr<websocket>> to_;
  };

  enum class match { name, pattern };

  channel_hub() = default;
  channel_hub(channel_hub const&) = delete;

  /// Returns whether the connection is open, and thus subscribed now. Subscribing again changes nothing.
  bool subscribe(std::shared_ptr<websocket> const& who, std::string_view channel, match how);
  /// Returns whether it was subscribed.
  bool unsubscribe(websocket const& who, std::string_view channel, match how) noexcept;
  /// A message of this kind to all subscribers of `channel`, which the caller then sends.
  [[nodiscard]] publication publish(std::string_view channel, opcode kind) const;

  /// The number of different channels and patterns; may be stale on return.
  [[nodiscard]] std::size_t channels() const noexcept;

  /// The connection has ended. For websocket.
  void forget(websocket const& gone) noexcept;

private:
  using members = std::unordered_map<websocket const*, std::weak_ptr<websocket>>;
  // Ordered, so that it can be searched without a copy of the name.
  using channel_map = std::map<std::string, members, std::less<>>;
  struct subscription {
    channel_map* in;
    channel_map::iterator channel;
  };

  void remove(subscription const& one, websocket const& who) noexcept;

  mutable std::mutex mutex_;  // guards all that follows
  channel_map named_;
  channel_map patterns_;
  std::unordered_map<websocket const*, std::vector<subscription>> subscriptions_;
};

}  // namespace kino::server
