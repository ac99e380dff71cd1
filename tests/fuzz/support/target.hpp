// SPDX-License-Identifier: MIT
//
// What each fuzz target defines, and what it takes its input apart with.

#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

/// The inputs that mutations begin with. A target defines it.
[[nodiscard]] std::vector<std::string> seeds();

/// Uses the code under test with one input, and aborts if something is wrong. A target defines it. It may use doctest's
/// assertions: a failed one aborts.
void run_one(std::string_view bytes);

/// An input is read from its front. At its end, all numbers are 0.
class input {
public:
  explicit input(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::uint8_t byte() {
    if (rest_.empty()) return 0;
    auto const taken = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return taken;
  }
  /// At most so many bytes.
  [[nodiscard]] std::string_view bytes(std::size_t most) {
    std::string_view const taken = rest_.substr(0, most);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

private:
  std::string_view rest_;
};

/// Calls `take` with `bytes` in pieces of `step` bytes, or of more, so that they are not more than a hundred.
template <class Take>
void in_pieces(std::string_view bytes, std::size_t step, Take take) {
  step = std::max(step, bytes.size() / 100);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) take(bytes.substr(0, step));
}

}  // namespace fuzz
