// SPDX-License-Identifier: MIT
//
// error: a channel's values must be default constructible and nothrow movable

#include <kino/channel.hpp>

struct letter {
  letter() = default;
  letter(letter&&) {}
  letter& operator=(letter&&) { return *this; }
};
kino::channel<letter> letters{1};
