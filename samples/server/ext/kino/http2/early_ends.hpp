// SPDX-License-Identifier: MIT
//
// early_ends: the streams that ended before their client knew.

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace kino::server {

/// The early_ends of a connection are the last streams that the server ended while their client was still sending:
/// trailers of these may be on their way, and are no error of the client. Every stream up to the last one that it no longer
/// remembers is taken for one of them.
///
/// Threads: one at a time.
class early_ends {
public:
  void add(std::int32_t stream) {
    std::int32_t& place = last_[next_++ % last_.size()];
    forgotten_ = std::max(forgotten_, place);
    place = stream;
  }
  [[nodiscard]] bool remembers(std::int32_t stream) const { return std::find(last_.begin(), last_.end(), stream) != last_.end(); }
  /// Whether `stream` may be one of them.
  [[nodiscard]] bool may_have(std::int32_t stream) const { return stream <= forgotten_ || remembers(stream); }

private:
  std::array<std::int32_t, 16> last_{};  // 0: none
  std::size_t next_ = 0;
  std::int32_t forgotten_ = 0;
};

}  // namespace kino::server
