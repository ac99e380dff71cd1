// SPDX-License-Identifier: MIT

#include "http/exchange.hpp"

#include <utility>

namespace kino::server {

// A forked child has copies of its parent's connections, and of locks that the parent's threads may have held. It
// writes to none, closes none, and lets no event loop know of anything: the loop's epoll is the parent's, too.
bool exchange::inherited() const { return pool_.born_.forked(); }

bool exchange::begin() noexcept {
  if (begun_.exchange(true)) return false;
  // relaxed: a thread that asks has learnt of it from this one, through a lock.
  taken_.store(true, std::memory_order_relaxed);
  // relaxed: a number to look at; the response, which comes later, carries it.
  if (observed()) taken_at_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  return true;
}

void exchange::find_origin() {
  if (!pool_.believes_) return;
  if (!origin_) origin_ = std::make_unique<forwarded_origin>();
  origin_->read(head_.fields(), peer(), local().secure, *pool_.believes_);
  has_origin_ = true;
}

bool exchange::observed() const noexcept { return pool_.observer_ != nullptr; }

void exchange::report(exchange_end how) noexcept {
  if (sent_.how != exchange_end::complete) how = sent_.how;
  if (how == exchange_end::disconnected) cancellation_.cancel();
  if (!observed()) return;
  clock::time_point const taken{clock::duration(taken_at_.load(std::memory_order_relaxed))};  // see begin
  pool_.observer_->ended({*this, how, sent_.status, received_.load(std::memory_order_relaxed), sent_.body_bytes,
                          started_at_, ready_at_, taken, sent_.answered, clock::now(), label_.load(std::memory_order_acquire)});
}

// relaxed: only this thread writes it.
void exchange::count_body(std::size_t length) noexcept {
  received_.store(received_.load(std::memory_order_relaxed) + length, std::memory_order_relaxed);
}

void exchange::note(int status, std::uint64_t body_bytes, exchange_end how) noexcept {
  sent_.body_bytes += body_bytes;
  if (status != 0) {
    sent_.status = status;
    if (observed()) sent_.answered = clock::now();
  }
  if (how != exchange_end::complete) sent_.how = how;
}

delivery exchange::send(response_part const& part) { return inherited() ? delivery::gone : sink_->send(*this, part); }

void exchange::flush() {
  if (!inherited()) sink_->flush(*this);
}

bool exchange::await_room() { return !inherited() && sink_->await_room(*this); }

void exchange::cut() {
  if (!inherited()) sink_->cut(*this);
}

body_pipe::taken exchange::read(char* out, std::size_t room) {
  if (!streamed_) {
    body_spool::part const next = collected_.claim(room);
    collected_.copy(next, out);
    return taken_of(next);
  }
  auto const got = body_.take(out, room);
  if (got.room_again && !inherited()) sink_->resume_reading(*this);
  return got;
}

body_pipe::taken exchange::taken_of(body_spool::part const& claimed) const {
  auto const left = static_cast<std::size_t>(collected_.left());
  auto const what = left == 0 ? body_pipe::state::complete : body_pipe::state::open;
  return {claimed.length, left, what, false, {}};
}

// The end of a streamed body comes after its trailers, under the lock of the pipe.
field_section const* exchange::received_trailers() {
  body_pipe::state const what = streamed_ ? read(nullptr, 0).what : taken_of({}).what;
  return what == body_pipe::state::complete ? &head_.trailers() : nullptr;
}

void exchange::close_body() {
  if (!streamed_) static_cast<void>(collected_.claim(SIZE_MAX));
  discard_body();
}

// A collected body stays until the exchange is released: another thread may be reading it.
void exchange::discard_body() {
  if (inherited()) return;
  if (streamed_ && (body_.discard() || tunnel_)) sink_->resume_reading(*this);
}

bool exchange::client_gone() const { return inherited() || sink_->client_gone(*this); }

void exchange::delivered(kino::outcome<response_part>&& result) noexcept {
  if (inherited()) return;
  if (result.answered()) {
    response_part const& first = result.value();
    bool const tunnel = first.head && first.head->upgrades() && !first.end;
    // Here, because no other thread can end the request any more, and the sink has not opened it yet.
    if (tunnel) streamed_ = tunnel_ = true;
    delivery const what = sink_->send(*this, first);
    gathered_ = what == delivery::gathered;
    if (what == delivery::gone && tunnel) {
      body_.fail({400, "the connection has ended before it was upgraded", 0, 0});
    }
    if (first.end) discard_body();
    return;
  }
  // Never handed over: its connection is ending, or has said so itself.
  if (ready_at_ == clock::time_point{}) return;
  cancellation_.cancel();
  sink_->unanswered(*this, result.kind());
  // A worker that still reads must not take what there is for the whole.
  if (streamed_ && taken()) body_.fail({504, "the response was not begun within request_timeout", 0, 0});
  discard_body();
}

void exchange::released() noexcept {
  if (inherited()) return;
  response_sink* const was = std::exchange(sink_, nullptr);
  head_.clear();
  pool_.take_memory(collected_);
  has_origin_ = false;
  if (std::exchange(streamed_, false)) body_.reset();
  tunnel_ = gathered_ = false;
  response_.clear();
  trailers_.clear();
  if (state_) state_->clear();
  sent_ = {};
  started_at_ = {};
  taken_at_.store(0, std::memory_order_relaxed);  // as ...
  label_.store(nullptr, std::memory_order_relaxed);
  received_.store(0, std::memory_order_relaxed);  // ... all of it, `recycle` publishes these
  ready_at_ = {};
  begun_.store(false);
  taken_.store(false, std::memory_order_relaxed);  // `recycle` publishes it
  cancellation_.reset();
  due_.clear();
  departures_.consume_notification();
  departures_.clear_interruption();
  rearm();
  pool_.recycle(*this);
  if (was) was->release();
}

// --- exchange_pool ------------------------------------------------------------

namespace {
// What `returned_` points to once the pool is closed: no exchange has this address.
exchange* closed_mark() {
  static char mark;
  return reinterpret_cast<exchange*>(&mark);
}
}  // namespace

exchange& exchange_pool::acquire(response_sink& sink) {
  exchange& fresh = next();
  fresh.sink_ = &sink;
  if (fresh.observed()) fresh.started_at_ = clock::now();
  return fresh;
}

exchange& exchange_pool::next() {
  if (!ready_) {
    // acquire: pairs with the release in recycle, the exchange's contents come with it.
    ready_ = returned_.exchange(nullptr, std::memory_order_acquire);
  }
  if (ready_) {
    exchange& again = *ready_;
    ready_ = again.next_;
    return again;
  }
  // relaxed: counting up publishes nothing, and the owner's one is still in.
  alive_.fetch_add(1, std::memory_order_relaxed);
  try {
    return *new exchange(*this);
  } catch (...) {
    alive_.fetch_sub(1, std::memory_order_relaxed);
    throw;
  }
}

void exchange_pool::lend_memory(body_spool& body) noexcept {
  std::lock_guard guard(spare_mutex_);
  if (spare_count_ != 0) body.swap_memory(spare_[--spare_count_]);
}

void exchange_pool::take_memory(body_spool& body) noexcept {
  body.reset(tuning::spare_capacity);
  byte_buffer memory;
  body.swap_memory(memory);
  if (memory.capacity() <= tuning::kept_capacity) return body.swap_memory(memory);
  std::lock_guard guard(spare_mutex_);
  if (spare_count_ != spare_.size()) spare_[spare_count_++].swap(memory);
}

void exchange_pool::recycle(exchange& done) noexcept {
  // Pushed by many, emptied at once by one: the head cannot come back unchanged underneath.
  exchange* head = returned_.load(std::memory_order_relaxed);  // the exchange below decides
  do {
    if (head == closed_mark()) {
      delete &done;
      forget();
      return;
    }
    done.next_ = head;
    // release: pairs with the acquire in acquire and close.
  } while (!returned_.compare_exchange_weak(head, &done, std::memory_order_release,
                                            std::memory_order_relaxed));
}

void exchange_pool::close() noexcept {
  // acquire: as in `acquire`.
  exchange* lists[] = {std::exchange(ready_, nullptr),
                       returned_.exchange(closed_mark(), std::memory_order_acquire)};
  for (exchange* list : lists) {
    while (list) {
      delete std::exchange(list, list->next_);
      forget();
    }
  }
  forget();
}

void exchange_pool::forget() noexcept {
  // acq_rel: the last one to go acquires what all the others did.
  if (alive_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

exchange_pool::~exchange_pool() = default;

}  // namespace kino::server
