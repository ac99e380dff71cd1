// SPDX-License-Identifier: MIT
//
// A request body on its way from the I/O thread to a worker.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/options.hpp"
#include "http/request.hpp"

#include <kino/parker.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>

namespace kino::server {

/// A body_pipe carries bytes from one I/O thread to one worker, with back-pressure.
///
/// The writer never waits: `push` reports when the pipe is full, and the I/O thread then stops
/// reading its socket until `take` reports room. The reader takes available bytes; if there are
/// none, it parks on `arrivals` and tries again.
///
/// The pipe accepts more than its capacity, because bytes that were read from the socket must be
/// stored. It holds at most its capacity plus one read.
///
/// Bytes, state and reason change together, so each query returns all three: two queries in a row
/// would combine an old value with a new one.
///
/// Threads: one writer, and one reader at a time.
/// Blocks:  never; a leaf mutex is held while bytes are copied.
/// Throws:  std::bad_alloc, from `push`.
class body_pipe {
public:
  enum class state { open, complete, broken };

  struct taken {
    std::size_t length;
    std::size_t left;  // bytes that lie ready behind these
    state what;        // of the pipe once these bytes are taken; open: more may come
    bool room_again;   // the writer was told to stop and may go on
    rejection why;     // of a broken pipe
  };

  // --- the writing side ---

  /// Appends `bytes`; returns whether the writer may continue. A discarded pipe accepts everything.
  bool push(std::string_view bytes);
  /// Whether its reader has discarded the rest.
  [[nodiscard]] bool discarded();
  /// Whether it was full and its reader has not made room since then.
  [[nodiscard]] bool full();

  /// Ends the pipe: the body is complete.
  void finish() { end(state::complete, {}); }
  /// Ends the pipe: the body is incomplete.
  void fail(rejection const& why) { end(state::broken, why); }

  // --- the reading side ---

  /// Copies at most `room` bytes to `out`. An open pipe without bytes gives none.
  [[nodiscard]] taken take(char* out, std::size_t room);
  /// Discards the rest of the body. Returns whether the writer waits and may continue.
  [[nodiscard]] bool discard();

  /// Where the reader sleeps. One notification comes with bytes or the end, after a `take`
  /// or `await` that found neither.
  [[nodiscard]] kino::parker& arrivals() { return arrivals_; }
  /// Whether there is nothing to take; then the next arrival is announced.
  [[nodiscard]] bool await();

  void reset();

private:
  void end(state how, rejection const& why);

  std::mutex mutex_;
  kino::parker arrivals_;
  byte_buffer bytes_;
  state state_ = state::open;
  rejection why_;
  bool discarded_ = false;
  bool writer_waits_ = false;
  bool reader_waits_ = false;
};

}  // namespace kino::server
