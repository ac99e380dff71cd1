// SPDX-License-Identifier: MIT

#include "http1/http1_protocol.hpp"

#include "http/request_body.hpp"
#include "http/upgrade.hpp"
#include "http1/response_encoder.hpp"

#include <utility>

namespace kino::server {

http1_protocol::http1_protocol(protocol_context const& shared, protocol::host& connection, transport& to)
    : shared_(shared),
      limits_(shared.limit),
      host_(connection),
      transport_(to),
      pipeline_(*this, to, {shared.exchanges.spool(), limits_.max_response_temp_file}),
      parser_(*this, limits_),
      alarm_(shared.deadlines, connection, [this](clock::time_point now) { check_timeouts(now); }),
      may_become_http2_(shared.http2),
      receiving_(limits_.min_body_rate, limits_.rate_grace, limits_.body_timeout),
      sending_(limits_.min_response_rate, limits_.rate_grace, limits_.body_timeout) {}

std::unique_ptr<protocol> http1_protocol::make(protocol_context const& shared, protocol::host& connection,
                                               transport& to) {
  return std::make_unique<http1_protocol>(shared, connection, to);
}

void http1_protocol::start(std::string_view received) {
  alarm_.set(clock::now() + limits_.header_timeout);
  unparsed_.append(parse(received));
}

// --- responses ------------------------------------------------------------------

namespace {
// Whether a part that upgrades the connection may: see upgrade.
bool possible(exchange const& from, response_part const& part) {
  if (part.head && part.head->upgrades()) return !upgrade_obstacle(from);
  if (!part.upgrade) return true;
  // The new protocol sends the rest of the body, of a length that only the end of the connection tells.
  bool const open_ended = !part.head || (!part.head->bodiless() && !part.head->content_length() && !from.head().head_only());
  return open_ended && !takeover_obstacle(from);
}
}  // namespace

delivery http1_protocol::transmit(exchange& from, response_part const& part, exchange_end how) noexcept {
  try {
    if (!possible(from, part)) {
      pipeline_.cut(from);
      return delivery::gone;
    }
    response_encoder encoder(from.head(), http1_state::of(from).encoded);
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

delivery http1_protocol::interim(exchange& from, response_head const& what) noexcept {
  if (from.head().version == http_version::http_1_0) return delivery::gone;
  try {
    byte_buffer bytes;
    response_encoder::encode_interim(bytes, what);
    return pipeline_.deliver(from, {.before = bytes.view()});
  } catch (std::bad_alloc const&) {  // The client does without it.
    return delivery::gone;
  }
}

// Whether the connection may be kept after the response to `from`. If not, no further request is accepted.
bool http1_protocol::keep_after(exchange const& from) {
  if (http1_state::of(from).ordinal >= limits_.max_keep_alive) return false;
  if (!shared_.draining.load(std::memory_order_relaxed)) return true;
  // While draining, what was read ahead is still answered: only the last one closes.
  return !pipeline_.end_after(from);
}

void http1_protocol::unanswered(exchange& from, kino::ending how) noexcept {
  int const status = shared_.handler.status_for(how, from);
  // The worker that lost may still describe its own response in the exchange.
  try {
    brief_response const brief(status);
    transmit(from, brief.whole(), how == kino::ending::expired ? exchange_end::expired : exchange_end::abandoned);
  } catch (std::bad_alloc const&) {
    pipeline_.cut(from);
  }
}

// --- what other threads ask for -------------------------------------------------

void http1_protocol::attend() {
  unsigned pending = pipeline_.take_pending();
  if (pending & response_pipeline::wait_readable) {
    // We may have read what the transport needs since it said so. Now nothing is read in between.
    pipeline_.writable();
    pending = (pending & ~response_pipeline::wait_readable) | pipeline_.take_pending();
  }
  if (pending & response_pipeline::hang_up) return host_.close();
  if (pending & response_pipeline::change_protocol) return change_protocol();
  if (lingering_) return;
  if (pending & response_pipeline::open_tunnel) open_tunnel();
  if (pending & response_pipeline::linger) {
    if (!tunnel_) return linger();
    linger_due_ = true;
  }
  if (pending & response_pipeline::wait_writable) await_output(io_result::state::wants_writable);
  if (pending & response_pipeline::wait_readable) await_output(io_result::state::wants_readable);
  if (pending & response_pipeline::read_on) read_on();
}

// The response_pipeline can write no more until the client has read; its time begins.
void http1_protocol::await_output(io_result::state what) {
  output_waits_ = true;
  delivered_ = pipeline_.now().delivered;
  sending_.start(clock::now());
  alarm_.set(sending_.due());
  host_.await_output(what);
}

void http1_protocol::output_ready() noexcept {
  output_waits_ = false;
  pipeline_.writable();
}

protocol::activity http1_protocol::doing() {
  auto const status = pipeline_.now();
  // The request whose body is being received is in the queue, too.
  bool const incomplete = current_ && !parser_.in_head() && !body_held_;
  if (status.waiting > (incomplete ? 1 : 0) && !status.stalled) return activity::answering;
  return current_ || ordinal_ == 0 || status.stalled ? activity::awaited : activity::idle;
}

// --- requests -------------------------------------------------------------------

bool http1_protocol::begin_request() {
  bool const full = most_queued_ == tuning::pipeline_depth && pipeline_.full();
  if (full || (alone_ && pipeline_.busy())) {
    paused_ = pause::pipeline_full;
    return false;
  }
  current_ = &shared_.exchanges.acquire(*this);
  reply_ = exchange::reply(*current_);
  host_.hold();
  current_->begin_state<http1_state>().ordinal = ++ordinal_;
  parser_.start(current_->head());
  return true;
}

rejection http1_protocol::on_head() {
  current_->find_origin();
  request const& head = current_->head();
  most_queued_ = pipeline_.attach(*current_);
  if (most_queued_ == 0) {
    last_request_ = true;
    return {503, ""};  // A previous response ends the connection: this one is never sent.
  }
  if (!head.has_body()) return {};
  if (auto too_large = begin_body(*current_, shared_)) return too_large;
  hand_over_due_ = current_->streamed();
  // The body is collected before a worker sees the request, so the client is asked for it here, in the order of the
  // responses.
  if (head.expects_continue) {
    response_head go_on;
    static_cast<void>(go_on.start_interim(100));
    interim(*current_, go_on);
  }
  return {};
}

// `followed`: bytes behind the request have been read.
void http1_protocol::request_complete(bool followed) {
  exchange& complete = *std::exchange(current_, nullptr);
  last_request_ = !complete.head().keep_alive || http1_state::of(complete).ordinal >= limits_.max_keep_alive;
  bool const may_upgrade = complete.head().asks_upgrade;
  alone_ = complete.head().has_body() || may_upgrade;
  if (complete.streamed()) complete.body().finish();
  hand_over_due_ = false;
  paused_ = pause::none;
  if (std::exchange(body_held_, false)) {
    complete.drop_weak();
    // Its response may have been sent before the server began to drain, and then kept the connection.
    if (shared_.draining.load(std::memory_order_relaxed)) pipeline_.close_after_last();
    return;
  }
  // Usually later than the alarm that is set; then this costs nothing.
  alarm_.set(coarse_now() + limits_.keep_alive_timeout);
  if (may_upgrade && pipeline_.busy()) paused_ = pause::pipeline_full;
  http1_state::of(complete).followed = followed || wants_input();
  pipeline_.serve(std::move(reply_));
}

void http1_protocol::refuse(rejection const& why) {
  last_request_ = true;
  if (!*why.reason) {  // Came after the last request that is answered.
    reply_ = {};
    current_ = nullptr;
    return;
  }
  log_rejection(peer(), why);
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
  shared_.handler.refused(why.status);  // before the client can know of it
  http1_state::of(refused).refused = true;
  std::exchange(reply_, {}).answer(brief.whole());
}

void http1_protocol::read_on() {
  if (tunnel_) {
    paused_ = pause::none;
    if (linger_due_ && tunnel_->body().discarded()) return end_tunnel(), linger();
  } else if (paused_ == pause::body_full) {
    // If `read_on` is left over from the previous body, one more read is made and reading stops again.
    paused_ = pause::none;
    receiving_.start(clock::now());
    alarm_.set(receiving_.due());
  } else if (paused_ == pause::pipeline_full) {
    paused_ = pause::none;
    unparsed_.consume(unparsed_.size() - parse(unparsed_.view()).size());
    if (unparsed_.empty()) unparsed_.clear(0);
  }
  host_.read_on();
}

// What follows belongs to another protocol.
void http1_protocol::change_protocol() {
  open_ = false;
  alarm_.stop();
  give_up_current();
  std::shared_ptr<upgrade> const to = pipeline_.take_upgrade();
  host_.become(to->begin(shared_, host_, transport_), unparsed_.view());
}

// --- ending ---------------------------------------------------------------------

void http1_protocol::linger() {
  lingering_ = true;
  alarm_.stop();
  host_.linger();
}

void http1_protocol::drain() {
  if (tunnel_) {
    tunnel_->body().finish();
    end_tunnel();
    if (linger_due_) return linger();
  }
  alarm_.set(clock::now() + tuning::drain_grace);
}

void http1_protocol::close() noexcept {
  open_ = false;
  alarm_.stop();
  pipeline_.close();
  give_up_current();
  if (!tunnel_) tunnel_ = pipeline_.take_tunnel();
  if (tunnel_) {
    tunnel_->body().fail(client_left);
    end_tunnel();
  }
}

// The request that is being received will never be complete.
void http1_protocol::give_up_current() noexcept {
  if (exchange* const cut_off = std::exchange(current_, nullptr); cut_off && std::exchange(body_held_, false)) {
    cut_off->body().fail(client_left);
    cut_off->drop_weak();
  }
  reply_ = {};
}

}  // namespace kino::server
