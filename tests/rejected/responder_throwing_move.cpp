// SPDX-License-Identifier: MIT
//
// error: an answer must be nothrow movable

#include <kino/responder.hpp>

struct letter {
  letter() = default;
  letter(letter&&) {}
};

bool answer(kino::responder<letter>& reply) { return reply.answer(letter()); }
