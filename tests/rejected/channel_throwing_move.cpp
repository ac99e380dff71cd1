// SPDX-License-Identifier: MIT
//
// error: a channel's values are default constructible and their moves are noexcept

#include <kino/channel.hpp>

struct letter {
  letter() = default;
  letter(letter&&) {}
  letter& operator=(letter&&) { return *this; }
};
kino::channel<letter> letters{1};
