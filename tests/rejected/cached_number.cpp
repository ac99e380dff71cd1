// SPDX-License-Identifier: MIT
//
// error: what is computed for a shareable_cache must be a VALUE

#include <kino/shareable_cache.hpp>

VALUE length(kino::gvl const& held, kino::shareable_cache& lengths, std::string_view key) {
  return lengths.fetch(held, key, [&] { return static_cast<long>(key.size()); });
}
