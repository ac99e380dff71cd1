// SPDX-License-Identifier: MIT
//
// HTTP/2 on one connection.

#pragma once

#include "http/protocol.hpp"
#include "http/protocol_alarm.hpp"
#include "http/rejection.hpp"
#include "http2/abuse_budget.hpp"
#include "http2/http2_session.hpp"
#include "http2/http2_state.hpp"
#include "http2/http2_tunnel.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>

namespace kino::server {

/// An http2_protocol makes an exchange of each stream of its connection, and frames of their responses.
///
/// Streams are independent: their requests are handed over as they come, and handled at the same time. The client may
/// have limits::max_concurrent_streams of them unanswered; one that it resets while the handler has it counts until the
/// handler lets go, so resets do not lead to more calls of the handler.
///
/// A body is collected before its request is handed over, unless it is to be streamed, as in HTTP/1.
///
/// The thread that has a part of a response writes it to the transport itself. What the client does not take waits in
/// the exchange's response_buffer, so a slow client occupies no worker and little memory.
///
/// A response that upgrades its stream makes an http2_tunnel of it; the stream keeps its exchange, which is reported at once.
///
/// A client that causes much work without asking for any loses its connection, see abuse_budget.
///
/// Threads: the I/O thread, except for response_sink. One lock guards session, transport and streams.
class http2_protocol final : public protocol, public response_sink, private http2_session::sink {
public:
  /// Any thread.
  http2_protocol(protocol_context const& shared, protocol::host& connection, transport& to);

  /// The protocol::maker of this protocol.
  [[nodiscard]] static std::unique_ptr<protocol> make(protocol_context const& shared, protocol::host& connection,
                                                      transport& to);

  // protocol
  void start(std::string_view received) override;
  void drain() override;
  void close() noexcept override;
  [[nodiscard]] bool wants_input() const override { return reading_; }
  [[nodiscard]] std::span<char> read_space(std::span<char> scratch) override { return scratch; }
  [[nodiscard]] bool received(std::span<char> space, std::size_t length) override;
  void input_ended() override { host_.close(); }
  void output_ready() noexcept override;
  void attend() override;
  void flush_late() noexcept override;

  // response_sink
  delivery send(exchange& from, response_part const& part) noexcept override;
  delivery interim(exchange& from, response_head const& what) noexcept override;
  void flush(exchange&) noexcept override;
  [[nodiscard]] bool await_room(exchange& from) override;
  void cut(exchange& from) override;
  void unanswered(exchange& from, kino::ending how) noexcept override;
  void resume_reading(exchange& to) override;
  [[nodiscard]] bool client_gone(exchange const& from) override;
  [[nodiscard]] endpoint const& peer() const override { return host_.peer(); }
  [[nodiscard]] endpoint const& local() const override { return host_.local(); }
  void release() noexcept override { host_.drop(); }

private:
  friend class http2_tunnel;

  /// What only the I/O thread can do, as bits.
  enum operation : unsigned {
    nothing = 0,
    wait_writable = 1,
    wait_readable = 2,
    watch = 4,
    linger = 8,
    hang_up = 16,
    tunnels = 32,
  };
  /// What is done once the lock is given back: it calls the handler, or other threads.
  struct deferred {
    exchange* ready = nullptr;  // requests to be handed over, in the order in which they came
    exchange* last_ready = nullptr;
    exchange* done = nullptr;   // no longer streams; one reference each
    exchange* roomy = nullptr;  // their writers wait for room; one reference each
    bool wake = false;
    bool flush_later = false;
  };

  // http2_session::sink, with the lock
  [[nodiscard]] exchange* begin_request(std::int32_t stream) override;
  void on_field(exchange& to, std::string_view name, std::string_view value) override;
  void on_header_end(exchange& to, bool end) override;
  void on_malformed(exchange& of) override;
  void on_body(exchange& to, std::string_view bytes) override;
  void on_body_frame() noexcept override { budget_.exchanged(); }
  void on_reset(exchange& of) override;
  void on_request_end(exchange& to) override;
  void on_response_end(exchange& to) override;
  void on_stream_end(exchange& of, std::uint32_t error) override;
  void on_nuisance(nuisance what, std::size_t bytes) override;
  void on_stray_header() override;
  void on_pong() override;
  void on_goaway() override;
  [[nodiscard]] http2_session::body_step next_data(exchange& of, std::size_t room) override;
  void write_data(exchange& of, std::string_view frame_head, std::size_t length) override;

  template <class Work>
  void locked(Work work);
  void claim_ready(deferred& then) noexcept;
  void run(deferred& then) noexcept;
  void ask(unsigned what);
  template <class Work>
  void locked_or_fail(Work work) noexcept;
  void take(std::string_view bytes);
  [[nodiscard]] http2_tunnel* take_due_tunnels() noexcept;
  void serve(http2_tunnel* first) noexcept;
  void catch_up() noexcept;

  // requests, with the lock
  void on_pseudo_field(exchange& to, std::string_view name, std::string_view value);
  [[nodiscard]] rejection finish_head(exchange& to, bool end);
  void refuse(exchange& which, rejection const& why);
  void hand_over(exchange& complete);
  void answer_refused(exchange& which) noexcept;

  // responses, with the lock
  [[nodiscard]] bool keep(http2_state& state, std::span<iovec const> data);
  void begin_response(exchange& from, response_part const& part);
  void begin_tunnel(exchange& from, response_part const& part);
  delivery transmit(exchange& from, response_part const& part, exchange_end how) noexcept;
  void reset(exchange& from, std::uint32_t error);
  void count_unsent(http2_state& of) noexcept;
  void attach(exchange& fresh);
  void detach(exchange& gone, bool complete);
  void detach_all();
  void resume(http2_state& of);
  void pump();
  void send_all();
  void finish_if_done();
  void end_requests();
  void end_for(std::uint32_t error, char const* why);

  // time
  void check_timeouts(clock::time_point now);
  [[nodiscard]] clock::time_point check_streams(clock::time_point now);
  [[nodiscard]] clock::time_point check_client(clock::time_point now, bool& lost);
  // Whether there is anything to be sent that the client has to read in time. Tunnels have limits of their own, until they end.
  [[nodiscard]] bool waits_for_client() const {
    return unsent_streams_ != 0 || (stalled_ && (open_tunnels_ == 0 || open_tunnels_ != stream_count_));
  }
  // Whether a header is being received. It belongs to the stream that came last.
  [[nodiscard]] bool in_header() const { return streams_ && http2_state::of(*streams_).stage == http2_state::stage::head; }

  protocol_context const& shared_;
  limits const& limits_;
  protocol::host& host_;
  transport& transport_;
  response_buffer::overflow const overflow_;
  protocol_alarm alarm_;
  bool reading_ = true;

  std::mutex mutex_;  // guards all that follows
  deferred* then_ = nullptr;  // of the thread that has the lock
  http2_session session_;
  byte_buffer frames_;  // to be sent before anything else
  exchange* streams_ = nullptr;
  std::size_t stream_count_ = 0;
  std::size_t open_tunnels_ = 0;    // those that are tunnels whose protocol looks after the client
  http2_tunnel* due_tunnels_ = nullptr;  // which the I/O thread has to serve; one reference each
  std::size_t unanswered_ = 0;      // those whose response is not complete
  std::size_t unsent_streams_ = 0;  // those of which something waits for the client
  std::size_t gathered_ = 0;        // bytes of responses since the last attempt to send
  std::atomic<std::uint32_t> reset_in_handler_{0};  // see http2_state::counted_in
  abuse_budget budget_;
  unsigned pending_ = nothing;
  bool stalled_ = false;      // the transport is full
  bool flush_due_ = false;
  bool watched_ = false;      // the alarm looks after what waits for the client
  bool announced_ = false;    // the client has been told that it should begin no more requests
  bool refusing_ = false;     // ... and which one was the last
  bool ending_ = false;       // none comes any more: refusing_, or the client says so
  bool terminated_ = false;   // the client has spent its budget
  bool closing_ = false;      // nothing more is sent
  bool open_ = true;
  clock::time_point progress_{};  // when a part of any body was last sent
  std::uint64_t sent_ = 0;    // bytes that the transport has taken
  minimum_rate sending_;
  std::uint64_t delivered_ = 0;
  clock::time_point idle_since_;
  clock::time_point announced_at_{};
};

// Calls `work` with the lock, and does afterwards what it has deferred, whatever it throws.
template <class Work>
void http2_protocol::locked(Work work) {
  deferred then;
  std::exception_ptr failed;
  {
    std::lock_guard guard(mutex_);
    then_ = &then;
    try {
      work();
    } catch (...) {
      failed = std::current_exception();
    }
    claim_ready(then);
    then_ = nullptr;
  }
  run(then);
  if (failed) std::rethrow_exception(failed);
}

}  // namespace kino::server
