// SPDX-License-Identifier: MIT

#include "net/connection.hpp"

#include "base/log.hpp"
#include "http1/response_encoder.hpp"
#include "net/http_server.hpp"
#include "net/io_thread.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

connection::connection(io_thread& home, std::unique_ptr<transport> client,
                       std::unique_ptr<readiness> events, endpoint peer, endpoint const& local)
    : home_(home),
      limits_(home.http().settings().connection),
      transport_(std::move(client)),
      events_(std::move(events)),
      pipeline_(*this, *transport_, limits_.max_response_temp_file),
      parser_(*this, limits_),
      peer_(std::move(peer)),
      local_(local),
      wake_notice_(home.notices(),
                   [this] {
                     guarded([this] { attend(); });
                     drop();
                   }),
      timer_(std::in_place, home.context()),
      receiving_(limits_.min_body_rate, limits_.rate_grace, limits_.body_timeout),
      sending_(limits_.min_response_rate, limits_.rate_grace, limits_.body_timeout) {}

void connection::hold() noexcept {
  // relaxed: the caller already holds a reference.
  references_.fetch_add(1, std::memory_order_relaxed);
}

void connection::drop() noexcept {
  // acq_rel: the last one to go acquires what all the others did.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

// --- responses ------------------------------------------------------------------

delivery connection::transmit(exchange& from, response_part const& part, exchange_end how) noexcept {
  try {
    response_encoder encoder(from.head(), from.encoding_);
    if (part.head && encoder.begin(part) && keep_after(from)) encoder.keep_alive();
    if (auto bytes = encoder.encode(part)) {
      if (bytes->how == exchange_end::complete) bytes->how = how;
      return pipeline_.deliver(from, *bytes);
    }
    pipeline_.flush();  // What has been written belongs to the client all the same.
  } catch (std::bad_alloc const&) {
  }
  pipeline_.cut(from);
  return delivery::gone;
}

delivery connection::interim(exchange& from, int status) noexcept {
  interim_bytes const bytes(status);
  return pipeline_.deliver(from, {.gather = true, .before = bytes.view()});
}

// Whether the connection may be kept after the response to `from`. If not, no further request is accepted.
bool connection::keep_after(exchange const& from) {
  if (from.ordinal_ >= limits_.max_keep_alive) return false;
  if (!home_.http().draining()) return true;
  // While draining, what was read ahead is still answered: only the last one closes.
  return !pipeline_.end_after(from);
}

void connection::unanswered(exchange& from, kino::ending how) noexcept {
  int const status = home_.http().status_for(how, from);
  // The worker that lost may still describe its own response in the exchange.
  try {
    brief_response const brief(status);
    transmit(from, brief.whole(), how == kino::ending::expired ? exchange_end::expired : exchange_end::abandoned);
  } catch (std::bad_alloc const&) {
    pipeline_.cut(from);
  }
}

void connection::start() noexcept {
  guarded([this] {
    set_alarm(clock::now() + limits_.header_timeout);
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

void connection::handle(exchange::reply&& request) noexcept {
  home_.http().handle(std::move(request));
}

void connection::attend() {
  unsigned pending = pipeline_.take_pending();
  if (!open_) return;
  if (pending & response_pipeline::wait_readable) {
    // We may have read what the transport needs since it said so. Now nothing is read in between.
    pipeline_.writable();
    pending = (pending & ~response_pipeline::wait_readable) | pipeline_.take_pending();
  }
  if (pending & response_pipeline::hang_up) return close();
  if (pending & response_pipeline::linger) return linger();
  if (pending & response_pipeline::wait_writable) await_output(io_result::state::wants_writable);
  if (pending & response_pipeline::wait_readable) await_output(io_result::state::wants_readable);
  if (pending & response_pipeline::read_on) read_on();
}

bool connection::begin_request() {
  bool const full = most_queued_ == tuning::pipeline_depth && pipeline_.full();
  if (full || (body_ahead_ && pipeline_.busy())) {
    paused_ = pause::pipeline_full;
    return false;
  }
  current_ = &home_.exchanges().acquire();
  reply_ = exchange::reply(*current_);
  hold();
  current_->sink_ = this;
  current_->ordinal_ = ++ordinal_;
  if (current_->observed()) current_->started_at_ = clock::now();
  parser_.start(current_->head_);
  return true;
}

rejection connection::on_head() {
  request const& head = current_->head();
  most_queued_ = pipeline_.attach(*current_);
  if (most_queued_ == 0) {
    last_request_ = true;
    return {503, ""};  // A previous response ends the connection: this one is never sent.
  }
  if (head.content_length.value_or(0) > limits_.max_body_size) {
    return {413, "Content-Length is larger than max_body_size", limits_.max_body_size,
            *head.content_length};
  }
  if (head.expects_continue && head.has_body()) {
    // The body is collected before a worker sees the request, so the client is asked for it
    // here, in the order of the responses.
    interim(*current_, 100);
  }
  if (!head.has_body()) return {};
  current_->streamed_ = hand_over_due_ = home_.http().streams_body(head);
  if (current_->streamed_) return {};
  body_spool& body = current_->collected();
  body.begin(home_.exchanges().spool(), limits_.body_buffer);
  if (head.content_length.value_or(0) > tuning::kept_capacity) {
    home_.exchanges().lend_memory(body);
    static_cast<void>(body.prepare(*head.content_length));
  }
  return {};
}

void connection::request_complete() {
  exchange& complete = *std::exchange(current_, nullptr);
  last_request_ = !complete.head().keep_alive || complete.ordinal_ >= limits_.max_keep_alive;
  body_ahead_ = complete.head().has_body();
  if (complete.streamed()) complete.body().finish();
  hand_over_due_ = false;
  paused_ = pause::none;
  if (std::exchange(body_held_, false)) {
    complete.drop_weak();
    return;
  }
  // Usually later than the alarm that is set; then this costs nothing.
  set_alarm(coarse_now() + limits_.keep_alive_timeout);
  pipeline_.serve(std::move(reply_));
}

void connection::refuse(rejection const& why) {
  last_request_ = true;
  if (!*why.reason) {  // Came after the last request that is answered.
    reply_ = {};
    current_ = nullptr;
    return;
  }
  log(why);
  exchange& refused = *std::exchange(current_, nullptr);
  if (std::exchange(body_held_, false)) {
    reply_ = pipeline_.recall(refused);
    refused.body().fail(why);
    if (!reply_) pipeline_.close_after_last();
    refused.drop_weak();
    // A worker has it: its next read of the body fails, and its response, if any, ends the connection.
    if (!reply_) return;
  }
  if (pipeline_.attach(refused) == 0) {
    reply_ = {};
    return;
  }
  brief_response const brief(why.status);
  home_.http().count_refused(why.status);  // before the client can know of it
  refused.refused_ = true;
  std::exchange(reply_, {}).answer(brief.whole());
}

void connection::read_on() {
  if (paused_ == pause::body_full) {
    // If `read_on` is left over from the previous body, one more read is made and reading stops again.
    paused_ = pause::none;
    receiving_.start(clock::now());
    set_alarm(receiving_.due());
  } else if (paused_ == pause::pipeline_full) {
    paused_ = pause::none;
    unparsed_.consume(unparsed_.size() - parse(unparsed_.view()).size());
    if (unparsed_.empty()) unparsed_.clear(0);
  }
  wait_readable();
}

// --- ending -------------------------------------------------------------------------

// Waits for the client to close its side, after the last response.
void connection::linger() {
  if (paused_ == pause::peer_ended) return close();
  lingering_ = true;
  if (std::exchange(live_, false)) home_.http().leave_live();
  linger_until_ = clock::now() + tuning::linger;
  set_alarm(linger_until_);
  wait_readable();
}

void connection::follow_server() noexcept {
  if (home_.http().closing()) return close();
  if (home_.http().draining() && open_ && !current_) pipeline_.close_after_last();
}

void connection::close() noexcept {
  if (!std::exchange(open_, false)) return;
  events_->stop();
  timer_.reset();
  pipeline_.close();
  if (current_) {
    if (body_held_) {
      current_->body().fail(client_left);
      current_->drop_weak();
    }
    current_ = nullptr;
  }
  reply_ = {};
  home_.closed(*this);
  drop();
}

void connection::log(rejection const& why) const noexcept try {
  std::string line = peer_.address + (peer_.port.empty() ? "" : ":" + peer_.port) + ": ";
  if (why.status != 0) line += std::to_string(why.status) + ", ";
  line += why.reason;
  if (why.limit != 0) {
    line += " (limit " + std::to_string(why.limit) + ", seen " + std::to_string(why.value) + ")";
  }
  log_line(line);
} catch (std::bad_alloc const&) {
  log_line(why.reason);
}

}  // namespace kino::server
