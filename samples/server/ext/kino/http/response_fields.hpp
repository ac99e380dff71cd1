// SPDX-License-Identifier: MIT
//
// response_fields: a list of fields of a response.

#pragma once

#include "base/byte_buffer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace kino::server {

/// The response_fields of a head, or of the trailers: names and values in the order given, in one buffer, whose memory the
/// next response reuses.
///
/// Threads: one at a time.  Throws: std::bad_alloc, from `append`, which then adds nothing.
class response_fields {
public:
  /// The maximum length of a name and of a value: the sum of both fits into 32 bits.
  static constexpr std::size_t longest = UINT32_MAX / 4;

  /// Adds a field whose name and value are valid and not longer than `longest`.
  void append(std::string_view name, std::string_view value) {
    lengths const both{static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(value.size())};
    char* const room = bytes_.prepare(sizeof both + name.size() + value.size());
    std::memcpy(room, &both, sizeof both);
    std::copy(value.begin(), value.end(), std::copy(name.begin(), name.end(), room + sizeof both));
    bytes_.commit(sizeof both + name.size() + value.size());
    ++count_;
  }
  /// Removes all fields; keeps the memory unless it is larger than `keep` bytes.
  void clear(std::size_t keep) {
    bytes_.clear(keep);
    count_ = 0;
  }

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t count() const { return count_; }
  /// The number of bytes of all names and values.
  [[nodiscard]] std::size_t bytes() const { return bytes_.size() - count_ * sizeof(lengths); }
  /// Calls `visit(name, value)` with each field.
  template <class Visit>
  void each(Visit visit) const {
    for (std::string_view rest = bytes_.view(); !rest.empty();) {
      lengths next;
      std::memcpy(&next, rest.data(), sizeof next);
      rest.remove_prefix(sizeof next);
      visit(rest.substr(0, next.name), rest.substr(next.name, next.value));
      rest.remove_prefix(std::size_t{next.name} + next.value);
    }
  }

private:
  // In front of the bytes of each field.
  struct lengths {
    std::uint32_t name;
    std::uint32_t value;
  };

  byte_buffer bytes_;
  std::size_t count_ = 0;
};

}  // namespace kino::server
