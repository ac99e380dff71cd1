// SPDX-License-Identifier: MIT
//
// Reads a request body that may still be arriving.

#pragma once

#include "http/body_pipe.hpp"

#include <algorithm>
#include <cstddef>

namespace kino::server {

/// take_some copies at most `room` bytes from `from` to `place()`, and waits for the first one. If
/// it returns no bytes, the body is complete.
///
/// `from` has `take`, like a body_pipe; `await`, which returns when there may be bytes; and
/// `broken`, which throws. `place` is called again after each wait, because a garbage collector may
/// have moved the destination.
template <class Source, class Place>
body_pipe::taken take_some(Source& from, std::size_t room, Place place) {
  for (;;) {
    body_pipe::taken const got = from.take(place(), room);
    if (got.length != 0 || got.what == body_pipe::state::complete) return got;
    if (got.what == body_pipe::state::broken) from.broken(got.why);
    from.await();
  }
}

/// read_body reads at most `most` bytes from `from`, fewer only if the body ends before.
///
/// `into` has `reserve(total)`, `at(position)`, and `commit(total)`, which sets its number of bytes;
/// `expected` is the probable number. Returns the number of bytes read.
template <class Source, class Target>
std::size_t read_body(Source& from, std::size_t most, std::size_t expected, Target& into) {
  constexpr std::size_t piece = 16 * 1024;
  std::size_t got = 0;
  std::size_t next = expected;
  while (got < most) {
    std::size_t const room = std::min(most - got, next != 0 ? next : piece);
    into.reserve(got + room);
    body_pipe::taken const part = take_some(from, room, [&] { return into.at(got); });
    got += part.length;
    into.commit(got);
    // The end arrived with these bytes or not yet: later bytes are taken next time.
    if (part.what == body_pipe::state::complete) break;
    next = part.left;
  }
  return got;
}

}  // namespace kino::server
