// SPDX-License-Identifier: MIT
//
// How a response_pipeline writes to its transport: what goes out now, what is kept, and what waits for the client.

#include "http1/response_pipeline.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace kino::server {

namespace {

constexpr std::size_t most_pieces = 64;
// Pieces from a file that are sent before other connections are served.
constexpr int most_refills = 16;
constexpr int most_slices = 4;  // likewise

// Calls `visit` with each piece, in order, until it returns false.
template <class Visit>
void each_piece(response_bytes const& bytes, Visit visit) {
  if (!bytes.before.empty() && !visit(piece(bytes.before))) return;
  for (iovec const& one : bytes.pieces) {
    if (!visit(one)) return;
  }
  if (!bytes.after.empty()) visit(piece(bytes.after));
}

void log_cut_file(int descriptor) noexcept {
  constexpr std::string_view what = "the file of a response cannot be read, or has become shorter while it was sent";
  try {
    log_line(std::string(what) + ": " + path_of_file(descriptor));
  } catch (std::bad_alloc const&) {
    log_line(what);
  }
}

}  // namespace

// Sends `bytes` or keeps them, behind those that were kept before.
void response_pipeline::take_over(exchange& from, response_bytes const& bytes, bool send_now,
                                  deferred& then) {
  http1_state::outgoing& out = output_of(from);
  std::size_t sent = 0;
  if (send_now && out.bytes.contiguous()) {
    std::array<iovec, most_pieces> all;
    std::size_t count = 0;
    std::size_t const kept = out.bytes.appended();
    if (kept != 0) all[count++] = piece(out.bytes.first());
    each_piece(bytes, [&](iovec const& one) {
      all[count++] = one;
      return count != all.size();
    });
    sent = send_pieces(std::span(all).first(count), then);
    std::size_t const kept_before = std::min(sent, kept);
    out.bytes.consume(kept_before);
    sent -= kept_before;
  }
  try {
    keep(from, bytes, sent);
    if (bytes.last) {
      out.last = true;
      out.keep_alive = bytes.keep_alive;
      if (bytes.file) out.file = std::move(*bytes.file);
      if (bytes.upgrade) out.upgrade = *bytes.upgrade;
    }
  } catch (std::bad_alloc const&) {
    closing_ = true;  // The response would lack these bytes.
    add_pending(hang_up, then);
  }
}

// Keeps `bytes`, except for the first `sent` of them.
void response_pipeline::keep(exchange& from, response_bytes const& bytes, std::size_t sent) {
  http1_state::outgoing& out = output_of(from);
  if (std::size_t const length = bytes.size(); sent == 0 && out.bytes.appended() + length <= tuning::write_buffer) {
    // The small parts of a streamed response: one reservation for all pieces is measurably faster.
    char* end = out.bytes.prepare(length);
    each_piece(bytes, [&](iovec const& one) {
      end = std::copy_n(static_cast<char const*>(one.iov_base), one.iov_len, end);
      return true;
    });
    out.bytes.commit(length);
    return;
  }
  each_piece(bytes, [&](iovec const& one) {
    std::size_t const skipped = std::min(sent, one.iov_len);
    sent -= skipped;
    out.bytes.keep({static_cast<char const*>(one.iov_base) + skipped, one.iov_len - skipped}, overflow_);
    return true;
  });
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
  // The caller keeps the rest. `pump` sends that, and finds out whether the transport is full.
  reads_first_ = sent.what == io_result::state::wants_readable;
  sent_ += sent.bytes;
  return sent.bytes;
}

void response_pipeline::pump(deferred& then, bool reads_files) {
  int refills = 0;
  while (length_ != 0 && !stalled_ && !closing_) {
    http1_state::outgoing& out = output_of(front());
    bool more = false;
    if (!out.bytes.empty()) {
      std::string_view const next = first_of(out, then);
      if (closing_) break;
      iovec all = piece(next);
      std::size_t const sent = send_pieces({&all, 1}, then);
      if (closing_) break;
      bool const all_sent = sent == next.size();
      out.bytes.consume(sent);
      if (sent != 0) since_ = coarse_now();
      more = all_sent && !out.empty();
      if (!all_sent || (more && ++refills == most_refills)) stall(!all_sent && reads_first_ ? wait_readable : wait_writable, then);
    } else if (!out.file.empty()) {
      more = send_file(out.file, reads_files, then);
      if (closing_) break;
      if (more && ++refills == most_slices) stall(wait_writable, then);
    }
    if (out.writer_waits && out.bytes.make_room(overflow_)) {
      out.writer_waits = false;
      front().add_weak();
      then.roomy = &front();
    }
    if (more) continue;
    if (!out.last || !out.empty()) break;
    finish_front(then);
  }
}

// Nothing more is sent until the I/O thread calls `writable`.
void response_pipeline::stall(operation until, deferred& then) {
  stalled_ = true;
  add_pending(until, then);
}

// Sends a slice; returns whether more can follow at once.
bool response_pipeline::send_file(file_range& file, bool reads_files, deferred& then) {
  if (!reads_files) {
    stall(wait_writable, then);
    return false;
  }
  auto const slice = static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), tuning::file_slice));
  io_result const sent = transport_.send_file(file.descriptor(), file.offset(), slice);
  if (sent.what == io_result::state::end) {
    log_cut_file(file.descriptor());
    front().note(0, 0, exchange_end::cut);
  }
  if (sent.failed() || sent.what == io_result::state::end) {
    reset_ = closing_ = true;
    add_pending(hang_up, then);
    return false;
  }
  sent_ += sent.bytes;
  file.consume(sent.bytes);
  if (sent.bytes != 0) since_ = coarse_now();
  if (!sent.done()) stall(wait_writable, then);
  return sent.done() && !file.empty();
}

std::string_view response_pipeline::first_of(http1_state::outgoing& out, deferred& then) noexcept {
  try {
    return out.bytes.first();
  } catch (std::exception const& failed) {
    log_line(failed.what());
    reset_ = closing_ = true;  // The rest of the response is lost.
    add_pending(hang_up, then);
    return {};
  }
}

bool response_pipeline::await_room(exchange& writer) {
  std::lock_guard guard(mutex_);
  http1_state::outgoing& out = output_of(writer);
  out.writer_waits = out.attached && !closing_ && out.bytes.above_high_watermark();
  return out.writer_waits;
}

void response_pipeline::writable() {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    stalled_ = false;
    pump(then, true);
    serve_next(then);
  }
  run(then);
}

}  // namespace kino::server
