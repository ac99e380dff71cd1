// SPDX-License-Identifier: MIT

#include "net/connection.hpp"

#include "http/rejection.hpp"
#include "net/descriptor_readiness.hpp"
#include "net/http_server.hpp"
#include "net/io_thread.hpp"

#include <utility>

namespace kino::server {

connection::connection(io_thread& home, std::unique_ptr<transport> client,
                       std::unique_ptr<readiness> events, endpoint peer, endpoint const& local)
    : home_(home),
      transport_(std::move(client)),
      events_(std::move(events)),
      peer_(std::move(peer)),
      local_(local),
      wake_notice_(home.notices(),
                   [this] {
                     guarded([this] { attend(); });
                     drop();
                   }),
      linger_due_(home.deadlines(), [this] { end_lingering(); }),
      protocol_(home.http().make_protocol(home.shared(), *this, *transport_)) {}

void connection::hold() noexcept {
  // relaxed: the caller already holds a reference.
  references_.fetch_add(1, std::memory_order_relaxed);
}

void connection::drop() noexcept {
  // acq_rel: the last one to go acquires what all the others did.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void connection::start() noexcept {
  guarded([this] {
    protocol_->start({});
    wait_readable();
    follow_server();
  });
}

// --- what other threads ask for -------------------------------------------------

void connection::wake() noexcept {
  hold();
  if (!wake_notice_.send()) drop();
}

void connection::flush_later() noexcept { home_.flush_later(*this); }

void connection::attend() {
  if (!open_) return;
  protocol_->attend();
  if (std::exchange(read_due_, false)) readable();
}

// --- input ------------------------------------------------------------------------

bool connection::wants_input() const {
  return open_ && !input_ended_ && (lingering_ || protocol_->wants_input());
}

void connection::wait_readable() {
  if (!open_) return;
  bool const for_input = wants_input() && !input_waits_for_writable_;
  if (for_input && transport_->has_input()) {  // The descriptor may not become readable.
    if (!std::exchange(read_due_, true)) wake();
    return;
  }
  if (reading_) return;
  if (!for_input && output_waits_ != io_result::state::wants_readable) return;
  reading_ = true;
  events_->wait(readiness::event::readable, reference(*this));
}

void connection::ready(readiness::event what) noexcept {
  guarded([&] {
    if (what == readiness::event::readable) {
      reading_ = false;
      return readable();
    }
    writing_ = false;
    output_ready(io_result::state::wants_writable);
    if (std::exchange(input_waits_for_writable_, false)) readable();
  });
}

void connection::readable() {
  if (wants_input()) read();
  output_ready(io_result::state::wants_readable);
  wait_readable();
}

void connection::catch_up() {
  output_ready(io_result::state::wants_writable);
  if (wants_input()) read(true);
  output_ready(io_result::state::wants_readable);
  wait_readable();
}

// `all`: what is there, even if its protocol would leave some of it for the next event.
void connection::read(bool all) {
  for (int reads = 1;; ++reads) {
    std::span<char> const scratch = home_.read_buffer();
    std::span<char> const space = lingering_ ? scratch : protocol_->read_space(scratch);
    if (space.empty()) return;
    io_result const got = transport_->read_some(space);
    switch (got.what) {
      case io_result::state::done: break;
      case io_result::state::end: return input_ended();
      case io_result::state::failed: return close();
      case io_result::state::wants_readable: return;
      case io_result::state::wants_writable: input_waits_for_writable_ = true; return wait_writable();
    }
    bool const more = !lingering_ && protocol_->received(space, got.bytes);
    if (!(all ? wants_input() : more) || reads == tuning::reads_in_a_row) return;
  }
}

void connection::input_ended() {
  input_ended_ = true;
  if (lingering_) return close();
  protocol_->input_ended();
}

// --- output -----------------------------------------------------------------------

void connection::await_output(io_result::state what) {
  output_waits_ = what;
  what == io_result::state::wants_readable ? wait_readable() : wait_writable();
}

void connection::wait_writable() {
  if (writing_ || !open_) return;
  writing_ = true;
  events_->wait(readiness::event::writable, reference(*this));
}

void connection::output_ready(io_result::state what) noexcept {
  if (output_waits_ != what) return;
  output_waits_ = io_result::state::done;
  protocol_->output_ready();
}

// --- another protocol ---------------------------------------------------------------

void connection::become(std::unique_ptr<protocol> next, std::string_view received) {
  former_.reserve(former_.size() + 1);
  former_.push_back(std::exchange(protocol_, std::move(next)));
  protocol_->start(received);
  if (!open_) return;
  if (input_ended_) protocol_->input_ended();
  follow_server();
  wait_readable();
}

std::unique_ptr<readiness> connection::watch(int descriptor) {
  return std::make_unique<descriptor_readiness>(home_.context(), descriptor);
}

// --- ending -------------------------------------------------------------------------

void connection::linger() {
  if (input_ended_) return close();
  lingering_ = true;
  if (std::exchange(live_, false)) home_.http().leave_live();
  linger_due_.set(clock::now() + tuning::linger);
  wait_readable();
}

// If bytes of the client were left unread, closing would reset the connection.
void connection::end_lingering() noexcept {
  hold();
  guarded([this] { catch_up(); });
  close();
  drop();
}

void connection::follow_server() noexcept {
  if (!open_) return;
  if (home_.http().closing()) return close();
  if (home_.http().draining()) guarded([this] { protocol_->drain(); });
}

void connection::close() noexcept {
  if (!std::exchange(open_, false)) return;
  events_->stop();
  linger_due_.clear();
  protocol_->close();
  home_.closed(*this);
  drop();
}

void connection::fail(std::exception const& why) noexcept {
  log_rejection(peer_, {0, why.what()});
  close();
}

}  // namespace kino::server
