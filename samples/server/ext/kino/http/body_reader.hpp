// SPDX-License-Identifier: MIT
//
// How a request body is read while it may still be arriving.

#pragma once

#include "http/body_pipe.hpp"

#include <algorithm>
#include <cstddef>

namespace kino::server {

/// take_some takes bytes from `from` to where `place()` says, at most `room`, and waits for the
/// first one. No bytes: the body is complete.
///
/// `from` has `take`, as a body_pipe; `await`, which returns when there may be something to take;
/// and `broken`, which throws. `place` is asked again after each wait, in which a garbage
/// collector may have moved the destination.
template <class Source, class Place>
body_pipe::taken take_some(Source& from, std::size_t room, Place place) {
  for (;;) {
    body_pipe::taken const got = from.take(place(), room);
    if (got.length != 0 || got.what == body_pipe::state::complete) return got;
    if (got.what == body_pipe::state::broken) from.broken(got.why);
    from.await();
  }
}

/// read_body takes at most `most` bytes from `from`, less only if the body ends before.
///
/// `into` has `reserve(total)` and `at(position)`, and hears with `commit(total)` how many bytes
/// it has; `expected` is how many there will probably be. Returns how many there are.
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
    // The end came with these bytes or not at all: what arrives from here on is taken next time.
    if (part.what == body_pipe::state::complete) break;
    next = part.left;
  }
  return got;
}

}  // namespace kino::server
