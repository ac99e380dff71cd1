// SPDX-License-Identifier: MIT
//
// Finds repeated names in a list of header fields.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kino::server {

/// Calls `visit(std::span<std::uint64_t const>)` for each key that several of `count` fields
/// share, with their indices in ascending order. `hash_of(i)` is a 32-bit hash of the key
/// `key_of(i)`, which is ordered by `<`. `order` is scratch memory.
///
/// The cost is O(count log count) for any keys, even if all hashes are equal. Keys are compared only
/// if their hashes are equal.
template <class HashOf, class KeyOf, class Visit>
void for_each_repeated(std::vector<std::uint64_t>& order, std::size_t count, HashOf hash_of,
                       KeyOf key_of, Visit visit) {
  order.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = std::uint64_t{hash_of(i)} << 32 | static_cast<std::uint32_t>(i);
  }
  std::sort(order.begin(), order.end());
  auto const same_hash = [](std::uint64_t a, std::uint64_t b) { return a >> 32 == b >> 32; };
  for (auto at = order.begin();;) {
    at = std::adjacent_find(at, order.end(), same_hash);
    if (at == order.end()) return;
    auto const end = std::find_if(at, order.end(), [&, first = *at](std::uint64_t other) {
      return !same_hash(first, other);
    });
    for (auto each = at; each != end; ++each) *each = static_cast<std::uint32_t>(*each);
    std::sort(at, end, [&](std::uint64_t a, std::uint64_t b) {
      auto const ka = key_of(a);
      auto const kb = key_of(b);
      return ka == kb ? a < b : ka < kb;
    });
    while (at != end) {
      auto const next = std::find_if(at + 1, end, [&, key = key_of(*at)](std::uint64_t other) {
        return key_of(other) != key;
      });
      if (next - at > 1) visit(std::span<std::uint64_t const>(at, next));
      at = next;
    }
  }
}

}  // namespace kino::server
