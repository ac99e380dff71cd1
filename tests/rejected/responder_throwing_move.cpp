// SPDX-License-Identifier: MIT
//
// error: the answer to a request has a noexcept move

#include <kino/responder.hpp>

struct letter {
  letter() = default;
  letter(letter&&) {}
};

bool answer(kino::responder<letter>& reply) { return reply.answer(letter()); }
