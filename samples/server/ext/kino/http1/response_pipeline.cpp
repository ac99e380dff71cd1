// SPDX-License-Identifier: MIT

#include "http1/response_pipeline.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

std::size_t response_pipeline::attach(exchange& next) {
  std::lock_guard guard(mutex_);
  if (output_of(next).attached) return length_;
  if (closing_ || refusing_ || length_ == queue_.size()) return 0;
  next.add_weak();
  output_of(next).attached = true;
  queue_[(first_ + length_) % queue_.size()] = &next;
  return ++length_;
}

void response_pipeline::serve(exchange::reply request) noexcept {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    http1_state::outgoing& out = output_of(exchange::of(request));
    if (out.attached && !closing_) {
      out.waiting = std::move(request);
      serve_next(then);
    }
  }
  run(then);
}

exchange::reply response_pipeline::recall(exchange& waiting) {
  std::lock_guard guard(mutex_);
  return std::move(output_of(waiting).waiting);
}

bool response_pipeline::full() {
  std::lock_guard guard(mutex_);
  reader_waits_ = length_ == queue_.size();
  return reader_waits_;
}

bool response_pipeline::busy() {
  std::lock_guard guard(mutex_);
  reader_waits_long_ = length_ != 0;
  return reader_waits_long_;
}

bool response_pipeline::end_after(exchange const& last) {
  std::lock_guard guard(mutex_);
  bool const is_last = length_ != 0 && &queued(length_ - 1) == &last;
  refusing_ |= is_last;
  return is_last;
}

delivery response_pipeline::deliver(exchange& from, response_bytes const& bytes) noexcept {
  deferred then;
  delivery result = delivery::gone;
  {
    std::lock_guard guard(mutex_);
    http1_state::outgoing& out = output_of(from);
    if (out.attached && !out.last && !closing_) {
      from.note(bytes.status, bytes.body_bytes, bytes.how);
      if (bytes.tunnel) {
        from.add_weak();
        tunnel_ = &from;
        add_pending(open_tunnel, then);
      }
      bool const our_turn = &front() == &from;
      bool const gathers =
          bytes.gather && !bytes.last && out.bytes.size() + bytes.size() < tuning::gather_size;
      take_over(from, bytes, our_turn && !stalled_ && !gathers, then);
      if (our_turn && !gathers) pump(then);
      if (our_turn && gathers && !stalled_ && !flush_due_) flush_due_ = then.flush_later = true;
      if (bytes.last) serve_next(then);
      if (!reset_) {
        result = out.attached && out.bytes.above_high_watermark() ? delivery::above_high_watermark : delivery::taken;
      }
    }
  }
  run(then);
  return result;
}

// The first request in the queue whose response is not complete is the one to be handled.
void response_pipeline::serve_next(deferred& then) {
  std::uint64_t unsent = 0;
  for (std::size_t place = 0; place != length_ && !closing_; ++place) {
    http1_state::outgoing& out = output_of(queued(place));
    unsent += out.size();
    if (out.last) continue;
    if (unsent < tuning::write_buffer && out.waiting) {
      then.next = std::move(out.waiting);
      queued(place).ready();
    }
    return;
  }
}

void response_pipeline::finish_front(deferred& then) {
  exchange& done = front();
  http1_state& state = http1_state::of(done);
  state.out.attached = false;
  state.next = std::exchange(then.finished, &done);
  first_ = (first_ + 1) % queue_.size();
  --length_;
  since_ = coarse_now();
  if (state.out.upgrade) {
    end_http(std::move(state.out.upgrade), then);
  } else if (!state.out.keep_alive || (end_when_empty_ && length_ == 0)) {
    end_output(then);
  } else if ((reader_waits_ && length_ <= queue_.size() / 2) ||
             (reader_waits_long_ && length_ == 0)) {
    reader_waits_ = reader_waits_long_ = false;
    add_pending(read_on, then);
  }
}

void response_pipeline::end_output(deferred& then) {
  // The transport is closed only when the client has closed its side, or after a while. Closing it
  // while bytes of the client are unread would reset the connection, and the client would lose the
  // response.
  closing_ = true;
  transport_.shutdown_write();
  drop_queue(then);
  add_pending(linger, then);
}

// The transport now belongs to the next protocol.
void response_pipeline::end_http(std::shared_ptr<upgrade>&& next, deferred& then) {
  closing_ = true;
  upgrade_ = std::move(next);
  drop_queue(then);
  add_pending(change_protocol, then);
}

void response_pipeline::close_after_last() {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    refusing_ = end_when_empty_ = true;
    if (length_ == 0 && !closing_) end_output(then);
  }
  run(then);
}

void response_pipeline::drop_queue(deferred& then) {
  for (; length_ != 0; --length_, first_ = (first_ + 1) % queue_.size()) {
    exchange& dropped = front();
    http1_state& state = http1_state::of(dropped);
    state.out.attached = false;
    state.out.writer_waits = false;
    state.next = std::exchange(then.dropped, &dropped);
  }
}

int response_pipeline::duplicate_socket(exchange& from) {
  std::lock_guard guard(mutex_);
  http1_state::outgoing const& out = output_of(from);
  if (!out.attached || closing_ || &front() != &from || !out.empty()) return -1;
  return transport_.duplicate();
}

void response_pipeline::cut(exchange& from) {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    if (output_of(from).attached) from.note(0, 0, exchange_end::cut);
    if (!open_ || reset_) return;
    reset_ = closing_ = true;
    add_pending(hang_up, then);
  }
  run(then);
}

void response_pipeline::peer_ended() {
  exchange* handled = nullptr;
  {
    std::lock_guard guard(mutex_);
    peer_ended_ = true;
    peer_left_.store(true, std::memory_order_relaxed);  // see gave_up
    peer_ended_at_ = clock::now();
    handled = in_vain();
    if (handled) handled->add_weak();
  }
  if (!handled) return;
  handled->cancelling().cancel();
  handled->drop_weak();
}

// With the lock: the request that is being handled, if the client has given up waiting for it.
exchange* response_pipeline::in_vain() {
  for (std::size_t place = 0; place != length_; ++place) {
    exchange& one = queued(place);
    http1_state::outgoing const& out = output_of(one);
    if (out.last) continue;
    bool const handed_over = !out.waiting && one.ready_at() != clock::time_point{};
    return handed_over && late_end(one.ready_at()) ? &one : nullptr;
  }
  return nullptr;
}

// Likewise: whether the client has ended its side so late after a request that it has given up waiting.
bool response_pipeline::late_end(clock::time_point ready) const {
  return peer_ended_ && peer_ended_at_ - ready > tuning::half_close_grace;
}

bool response_pipeline::gave_up(clock::time_point ready) {
  // relaxed: only a hint that the lock is worth taking; a stale value means "not yet".
  if (!peer_left_.load(std::memory_order_relaxed)) return false;
  std::lock_guard guard(mutex_);
  if (reset_ || !open_) return true;
  return late_end(ready);
}

response_pipeline::status response_pipeline::now() {
  std::lock_guard guard(mutex_);
  std::uint64_t unsent = 0;
  for (std::size_t place = 0; place != length_; ++place) unsent += output_of(queued(place)).size();
  std::uint64_t const in_kernel = stalled_ && open_ ? transport_.unacknowledged() : 0;
  return {length_, unsent, stalled_, closing_, since_, sent_ - std::min(sent_, in_kernel)};
}

unsigned response_pipeline::take_pending() {
  std::lock_guard guard(mutex_);
  return std::exchange(pending_, nothing);
}

exchange* response_pipeline::take_tunnel() {
  std::lock_guard guard(mutex_);
  return std::exchange(tunnel_, nullptr);
}

std::shared_ptr<upgrade> response_pipeline::take_upgrade() {
  std::lock_guard guard(mutex_);
  return std::exchange(upgrade_, nullptr);
}

void response_pipeline::close() noexcept {
  deferred then;
  std::shared_ptr<upgrade> unused;
  {
    std::lock_guard guard(mutex_);
    if (!std::exchange(open_, false)) return;
    closing_ = reset_ = true;
    unused = std::move(upgrade_);
    peer_left_.store(true, std::memory_order_relaxed);  // see gave_up
    // The end of the stream would look like the end of a response to HTTP/1.0.
    transport_.close(length_ != 0 ? transport::ending::reset : transport::ending::orderly);
    drop_queue(then);
  }
  run(then);
}

void response_pipeline::ask(unsigned what) {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    if (open_) add_pending(what, then);
  }
  run(then);
}

void response_pipeline::add_pending(unsigned what, deferred& then) {
  // `take_pending` clears all operations, so only the first one needs to wake the owner.
  then.wake |= pending_ == nothing;
  pending_ |= what;
}

void response_pipeline::run(deferred& then) noexcept {
  if (then.roomy) {
    then.roomy->departures().notify();
    then.roomy->drop_weak();
  }
  if (then.wake) owner_.wake();
  if (then.flush_later) owner_.flush_later();
  if (then.next) owner_.handle(std::move(then.next));
  // Last: these references may be what keeps the connection, and this object, alive.
  while (exchange* const done = then.dropped) {
    then.dropped = http1_state::of(*done).next;
    done->departures().notify();  // Nothing more is sent; a second notification does no harm.
    output_of(*done).waiting = {};      // No other thread accesses it once it is out of the queue.
    output_of(*done).upgrade.reset();   // likewise
    done->report(exchange_end::disconnected);
    done->drop_weak();
  }
  while (exchange* const done = then.finished) {
    then.finished = http1_state::of(*done).next;
    done->report(exchange_end::complete);
    done->drop_weak();
  }
}

}  // namespace kino::server
