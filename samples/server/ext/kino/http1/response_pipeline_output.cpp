// SPDX-License-Identifier: MIT
//
// How a response_pipeline writes to its transport: what goes out now, what is kept, and what waits for the client.

#include "http1/response_pipeline.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace kino::server {

namespace {

constexpr std::size_t most_pieces = 64;

std::size_t length_of(std::span<iovec const> pieces) {
  std::size_t total = 0;
  for (iovec const& piece : pieces) total += piece.iov_len;
  return total;
}

// Calls `visit` with each piece, in order, until it returns false.
template <class Visit>
void each_piece(response_bytes const& bytes, Visit visit) {
  if (!bytes.before.empty() && !visit(piece(bytes.before))) return;
  for (iovec const& one : bytes.pieces) {
    if (!visit(one)) return;
  }
  if (!bytes.after.empty()) visit(piece(bytes.after));
}

}  // namespace

// What is not sent now is kept, behind what was kept before.
void response_pipeline::take_over(exchange::outgoing& out, response_bytes const& bytes, bool send_now,
                       deferred& then) {
  std::size_t sent = 0;
  if (send_now) {
    std::array<iovec, most_pieces> all;
    std::size_t count = 0;
    if (!out.bytes.empty()) all[count++] = piece(out.bytes.view());
    each_piece(bytes, [&](iovec const& one) {
      all[count++] = one;
      return count != all.size();
    });
    sent = send_pieces(std::span(all).first(count), then);
    std::size_t const kept_before = std::min(sent, out.bytes.size());
    out.bytes.consume(kept_before);
    sent -= kept_before;
  }
  try {
    each_piece(bytes, [&](iovec const& one) {
      std::size_t const skipped = std::min(sent, one.iov_len);
      sent -= skipped;
      out.bytes.append({static_cast<char const*>(one.iov_base) + skipped, one.iov_len - skipped});
      return true;
    });
    if (bytes.last) {
      out.last = true;
      out.keep_alive = bytes.keep_alive;
    }
  } catch (std::bad_alloc const&) {
    closing_ = true;  // A gap in an answer cannot be mended.
    add_pending(hang_up, then);
  }
}

void response_pipeline::flush() noexcept {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    pump(then);
    serve_next(then);
  }
  run(then);
}

void response_pipeline::flush_late() noexcept {
  {
    std::lock_guard guard(mutex_);
    flush_due_ = false;
  }
  flush();
}

// Returns how many bytes the transport took.
std::size_t response_pipeline::send_pieces(std::span<iovec> pieces, deferred& then) {
  std::size_t const total = length_of(pieces);
  if (total == 0) return 0;
  io_result const sent = transport_.write_some(pieces);
  if (sent.failed()) {
    reset_ = closing_ = true;
    add_pending(hang_up, then);
    return total;
  }
  // What is left is appended and sent by `pump`, which finds out whether the transport is full.
  reads_first_ = sent.what == io_result::state::wants_readable;
  sent_ += sent.bytes;
  return sent.bytes;
}

void response_pipeline::pump(deferred& then) {
  while (length_ != 0 && !stalled_ && !closing_) {
    exchange::outgoing& out = front().out_;
    if (!out.bytes.empty()) {
      iovec all{out.bytes.data(), out.bytes.size()};
      std::size_t const sent = send_pieces({&all, 1}, then);
      if (closing_) break;
      out.bytes.consume(sent);
      if (sent != 0) since_ = coarse_now();
      if (!out.bytes.empty()) {
        stalled_ = true;
        add_pending(reads_first_ ? wait_readable : wait_writable, then);
      }
    }
    if (out.writer_waits && out.bytes.size() <= tuning::write_buffer / 2) {
      out.writer_waits = false;
      front().add_weak();
      then.roomy = &front();
    }
    if (!out.last || !out.bytes.empty()) break;
    finish_front(then);
  }
}

bool response_pipeline::await_room(exchange& writer) {
  std::lock_guard guard(mutex_);
  writer.out_.writer_waits = writer.out_.attached && !closing_ &&
                             writer.out_.bytes.size() > tuning::write_buffer;
  return writer.out_.writer_waits;
}

void response_pipeline::writable() {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    stalled_ = false;
    pump(then);
    serve_next(then);
  }
  run(then);
}

}  // namespace kino::server
