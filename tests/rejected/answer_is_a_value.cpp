// SPDX-License-Identifier: MIT
//
// error: the answer is an unsigned long, as Ruby's VALUE is, and not what was asked for: convert it

#include <kino/extension.hpp>
#include <kino/responder.hpp>

void answer(kino::responder<long> const& reply, VALUE value) { reply.answer(value); }
