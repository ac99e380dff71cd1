// SPDX-License-Identifier: MIT
//
// HTTP/1.0 and HTTP/1.1 on one connection.

#pragma once

#include "base/minimum_rate.hpp"
#include "http/protocol.hpp"
#include "http/protocol_alarm.hpp"
#include "http/rejection.hpp"
#include "http1/http_parser.hpp"
#include "http1/response_pipeline.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace kino::server {

/// An http1_protocol reads the requests of one connection, hands them out and keeps the deadlines of its client.
///
/// Any thread sends responses, through the `response_pipeline`, which wakes the connection only for
/// what the I/O thread must do. Complete requests are read ahead; the response_pipeline hands them
/// over one after the other.
///
/// A body is collected here before its request is handed over, so a slow client occupies no worker;
/// only streamed bodies go through a body_pipe. Nothing is read ahead of the response to a request
/// with a body, so a connection has one body at a time: at most body_buffer bytes of memory, and
/// extents of the I/O thread's spool_file.
///
/// Reading stops in these states, and each has one owner that resumes it. The owner has noted
/// that it must, under its lock, before the state is entered.
///
///     paused_        entered when                         left when            by
///     pipeline_full  the next request begins while        half of the queue    response_pipeline::finish_front, asked by
///                    pipeline_depth are unanswered        is answered          response_pipeline::full; read_on
///     pipeline_full  the next request begins while one    all are answered     response_pipeline::finish_front, asked by
///                    with a body is unanswered                                 response_pipeline::busy; read_on
///     pipeline_full  a request is complete that asks      all are answered     as above, or for ever, if its response
///                    for an upgrade                                            upgrades; change_protocol
///     body_full      a streamed body fills its pipe       its worker has read  exchange::read or close_body, told
///                                                         half or discards it  by body_pipe; read_on
///
/// The rest of the stream waits in the kernel meanwhile. After the last request of a connection, received bytes are
/// discarded.
///
/// Threads: the I/O thread, except what response_sink and response_pipeline::owner ask of it.
class http1_protocol final : public protocol,
                             public response_sink,
                             private response_pipeline::owner,
                             private http_parser::sink {
public:
  /// Any thread.
  http1_protocol(protocol_context const& shared, protocol::host& connection, transport& to);

  /// The protocol::maker of this protocol.
  [[nodiscard]] static std::unique_ptr<protocol> make(protocol_context const& shared, protocol::host& connection,
                                                      transport& to);

  // protocol
  void start(std::string_view received) override;
  void drain() override;
  void close() noexcept override;
  [[nodiscard]] bool wants_input() const override { return paused_ == pause::none; }
  [[nodiscard]] std::span<char> read_space(std::span<char> scratch) override;
  [[nodiscard]] bool received(std::span<char> space, std::size_t length) override;
  void input_ended() override;
  void output_ready() noexcept override;
  [[nodiscard]] activity doing() override;
  void attend() override;
  void flush_late() noexcept override { pipeline_.flush_late(); }

  // response_sink
  delivery send(exchange& from, response_part const& part) noexcept override {
    return transmit(from, part, http1_state::of(from).refused ? exchange_end::refused : exchange_end::complete);
  }
  delivery interim(exchange& from, response_head const& what) noexcept override;
  void flush(exchange&) noexcept override { pipeline_.flush(); }
  [[nodiscard]] bool await_room(exchange& from) override { return pipeline_.await_room(from); }
  void cut(exchange& from) override { pipeline_.cut(from); }
  void unanswered(exchange& from, kino::ending how) noexcept override;
  void resume_reading(exchange&) override { pipeline_.resume_reading(); }
  [[nodiscard]] bool client_gone(exchange const& from) override { return pipeline_.gave_up(from.ready_at()); }
  [[nodiscard]] bool sends_files() const noexcept override { return pipeline_.sends_files(); }
  [[nodiscard]] int duplicate_socket(exchange& from) override {
    return http1_state::of(from).followed ? -1 : pipeline_.duplicate_socket(from);
  }
  [[nodiscard]] endpoint const& peer() const override { return host_.peer(); }
  [[nodiscard]] endpoint const& local() const override { return host_.local(); }
  void release() noexcept override { host_.drop(); }

private:
  static constexpr rejection client_left{
      400, "the client closed the connection before the end of the body", 0, 0};
  enum class pause { none, pipeline_full, body_full };
  /// What the client, or its next request, is waited for.
  enum class phase { idle, head, body, response };
  struct time_limit {
    clock::time_point due;
    phase of;
  };

  void wake() noexcept override { host_.wake(); }
  void flush_later() noexcept override { host_.flush_later(); }
  void handle(exchange::reply&& request) noexcept override { shared_.handler.handle(std::move(request)); }
  rejection on_head() override;
  rejection on_body(std::string_view bytes) override;

  [[nodiscard]] bool reads_into_body() const;
  [[nodiscard]] std::string_view parse(std::string_view bytes);
  [[nodiscard]] bool begins_http2(std::string_view bytes);
  void received_body(std::size_t length);
  void await_body(std::size_t progress);
  [[nodiscard]] std::span<char> body_room();
  bool begin_request();
  delivery transmit(exchange& from, response_part const& part, exchange_end how) noexcept;
  [[nodiscard]] bool keep_after(exchange const& from);
  void hand_over();
  void change_protocol();
  void open_tunnel();
  void receive_tunneled(std::string_view bytes);
  void end_tunnel() noexcept;
  void linger();
  void give_up_current() noexcept;
  void request_complete(bool followed);
  void refuse(rejection const& why);
  void read_on();
  void await_output(io_result::state what);

  void check_timeouts(clock::time_point now);
  [[nodiscard]] time_limit next_limit(clock::time_point now);
  void too_late(phase of, clock::time_point now);

  protocol_context const& shared_;
  limits const& limits_;
  protocol::host& host_;
  transport& transport_;
  response_pipeline pipeline_;
  http_parser parser_;
  protocol_alarm alarm_;

  exchange* current_ = nullptr;  // being received
  exchange::reply reply_;        // its reply, until the response_pipeline has it
  bool body_held_ = false;       // the response_pipeline has it, and current_ is held for its body
  byte_buffer unparsed_;         // bytes behind a full queue, or what may become the preface of HTTP/2
  std::size_t ordinal_ = 0;

  exchange* tunnel_ = nullptr;   // has what is received, see upgrade; one reference
  bool linger_due_ = false;      // once the tunnel has ended

  bool open_ = true;
  bool may_become_http2_;        // nothing has been parsed yet
  pause paused_ = pause::none;
  std::size_t most_queued_ = 0;  // there may be fewer by now
  bool alone_ = false;           // nothing is parsed ahead of the response to the last request
  bool last_request_ = false;    // nothing after this one is parsed
  bool hand_over_due_ = false;
  bool output_waits_ = false;    // the response_pipeline's next write waits for the transport
  bool lingering_ = false;       // the connection ends, and needs us no more

  clock::time_point receiving_since_{};  // of the head
  minimum_rate receiving_;               // of the body
  minimum_rate sending_;                 // while the kernel takes no more
  std::uint64_t delivered_ = 0;          // what the response_pipeline last said of it
};

}  // namespace kino::server
