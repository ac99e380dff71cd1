// SPDX-License-Identifier: MIT

#include "net/socket_relay.hpp"

#include <algorithm>
#include <exception>
#include <poll.h>
#include <utility>

namespace kino::server {

socket_relay::socket_relay(protocol_context const& shared, protocol::host& connection, transport& client,
                           std::unique_ptr<transport> application)
    : shared_(shared),
      host_(connection),
      client_(client),
      application_(std::move(application)),
      silence_(shared.deadlines, connection, [this](clock::time_point now) { check_silence(now); }) {}

void socket_relay::start(std::string_view received) {
  events_ = host_.watch(application_->descriptor());
  to_application_.append(received);
  move();
}

void socket_relay::drain() {
  input_over_ = true;
  move();
}

void socket_relay::input_ended() {
  client_ended_ = input_over_ = true;
  move();
}

std::span<char> socket_relay::read_space(std::span<char> scratch) {
  return scratch.first(std::min(scratch.size(), tuning::pipe_capacity - to_application_.size()));
}

bool socket_relay::received(std::span<char> space, std::size_t length) {
  to_application_.append({space.data(), length});
  move();
  return false;
}

void socket_relay::output_ready() noexcept {
  client_waits_ = false;
  move_guarded();
}

void socket_relay::ready(readiness::event what) noexcept {
  (what == readiness::event::readable ? reading_ : writing_) = false;
  move_guarded();
}

void socket_relay::move_guarded() noexcept {
  try {
    move();
  } catch (std::exception const& failed) {
    host_.fail(failed);
  }
}

// The client has sent nothing for too long, unless this thread has not seen it yet.
void socket_relay::check_silence(clock::time_point now) {
  if (now >= silent_until_) {
    silent_until_ = clock::time_point::max();
    host_.catch_up();
    if (!open_ || lingering_) return;
    if (silent_until_ == clock::time_point::max()) return host_.close();
  }
  silence_.set(silent_until_);
}

// Moves what can be moved, and waits for the rest.
void socket_relay::move() {
  if (!open_ || lingering_) return;
  feed_application();
  read_application();
  if (open_) end_if_done();
}

void socket_relay::feed_application() {
  bool const was_full = !wants_input() && !input_over_;
  while (!to_application_.empty()) {
    iovec const all = {to_application_.data(), to_application_.size()};
    io_result const sent = application_->write_some({&all, 1});
    if (sent.failed()) {
      application_gone_ = input_over_ = true;  // What it has written before is still there.
      to_application_.clear(0);
    } else if (!sent.done()) {
      wait(readiness::event::writable, writing_);
      break;
    } else {
      to_application_.consume(sent.bytes);
    }
  }
  if (!to_application_.empty()) return;
  to_application_.clear(0);
  if (input_over_ && !std::exchange(input_end_told_, true)) application_->shutdown_write();
  if (was_full && wants_input()) host_.read_on();
}

// Takes what the application has written, as long as the client takes it.
void socket_relay::read_application() {
  for (int reads = 1; open_; ++reads) {
    feed_client();
    if (!open_ || application_ended_ || to_client_.size() >= tuning::pipe_capacity) return;
    std::size_t const room = tuning::pipe_capacity - to_client_.size();
    io_result const got = application_->read_some({to_client_.prepare(room), room});
    switch (got.what) {
      case io_result::state::done:
        to_client_.commit(got.bytes);
        silent_until_ = clock::time_point::max();
        break;
      case io_result::state::end:
      case io_result::state::failed:
        application_ended_ = true;
        application_gone_ |= got.failed() || application_closed();
        if (application_gone_) input_over_ = true;
        break;
      default: return wait(readiness::event::readable, reading_);
    }
    if (reads == tuning::reads_in_a_row) return wait(readiness::event::readable, reading_);
  }
}

void socket_relay::feed_client() {
  while (!to_client_.empty() && !client_waits_) {
    iovec const all = {to_client_.data(), to_client_.size()};
    io_result const sent = client_.write_some({&all, 1});
    if (sent.failed()) return host_.close();
    if (sent.done()) {
      to_client_.consume(sent.bytes);
    } else {
      client_waits_ = true;
      host_.await_output(sent.what);
    }
  }
  if (to_client_.empty()) to_client_.clear(0);
}

void socket_relay::end_if_done() {
  if (!application_ended_ || !to_client_.empty()) return;
  if (!std::exchange(output_end_told_, true)) client_.shutdown_write();
  if (client_ended_ && to_application_.empty()) return host_.close();
  // A server that stops takes nothing more from the client, so the end of the client would not be seen.
  if (application_gone_ || (input_over_ && to_application_.empty())) {
    lingering_ = true;
    silent_until_ = clock::time_point::max();
    return host_.linger();
  }
  silent_until_ = clock::now() + shared_.limit.keep_alive_timeout;
  silence_.set(silent_until_);
}

void socket_relay::wait(readiness::event what, bool& waits) {
  if (!std::exchange(waits, true)) events_->wait(what, readiness::reference(*this));
}

// Whether the application has closed its socket, instead of ending its direction only.
bool socket_relay::application_closed() const {
  pollfd socket{application_->descriptor(), 0, 0};
  return ::poll(&socket, 1, 0) == 1 && (socket.revents & (POLLHUP | POLLERR)) != 0;
}

void socket_relay::close() noexcept {
  open_ = false;
  silence_.stop();
  if (events_) events_->stop();
  application_->close(transport::ending::orderly);
  client_.close(output_end_told_ ? transport::ending::orderly : transport::ending::reset);
}

}  // namespace kino::server
