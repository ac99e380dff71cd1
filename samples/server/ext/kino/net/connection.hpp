// SPDX-License-Identifier: MIT
//
// The reading half of a connection, and its clock.

#pragma once

#include "base/minimum_rate.hpp"
#include "base/transport.hpp"
#include "http1/http_parser.hpp"
#include "http1/response_pipeline.hpp"
#include "net/notice.hpp"
#include "net/readiness.hpp"

#include <asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace kino::server {

class http_server;
class io_thread;

/// A connection reads requests from one transport, hands them out and keeps the deadlines.
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
///     body_full      a streamed body fills its pipe       its worker has read  exchange::read or close_body, told
///                                                         half or discards it  by body_pipe; read_on
///     peer_ended     the client's end of stream was read  never; the connection closes after its last response
///
/// In all but the last state, the rest of the stream waits in the kernel. After the last request of a
/// connection, and while it lingers, received bytes are discarded.
///
/// Threads: its I/O thread, except `out`, `drop`, `hold`, `wake`, `handle` and what exchanges ask.
/// Lifetime: counted. The open connection counts for one, so does each of its exchanges and
/// each pending asynchronous operation.
class connection final : public response_sink,
                         private response_pipeline::owner,
                         private http_parser::sink,
                         private readiness::waiter {
public:
  /// Any thread.
  connection(io_thread& home, std::unique_ptr<transport> client, std::unique_ptr<readiness> events, endpoint peer,
             endpoint const& local);

  void start() noexcept;
  [[nodiscard]] response_pipeline& out() { return pipeline_; }

  delivery send(exchange& from, response_part const& part) noexcept override {
    return transmit(from, part, from.refused_ ? exchange_end::refused : exchange_end::complete);
  }
  delivery interim(exchange& from, int status) noexcept override;
  void flush(exchange&) noexcept override { pipeline_.flush(); }
  [[nodiscard]] bool await_room(exchange& from) override { return pipeline_.await_room(from); }
  void cut(exchange& from) override { pipeline_.cut(from); }
  void unanswered(exchange& from, kino::ending how) noexcept override;
  void resume_reading(exchange&) override { pipeline_.resume_reading(); }
  [[nodiscard]] bool client_gone(exchange const& from) override { return pipeline_.gave_up(from.ready_at()); }
  [[nodiscard]] endpoint const& peer() const override { return peer_; }
  [[nodiscard]] endpoint const& local() const override { return local_; }
  void release() noexcept override { drop(); }

  void hold() noexcept override;
  void drop() noexcept override;

  /// Does what the http_server has begun: to drain, when the connection closes after what has been
  /// received is answered, at once if that is nothing; or to close, whatever is going on.
  void follow_server() noexcept;

private:
  friend class io_thread;
  using reference = readiness::reference;
  static constexpr rejection client_left{
      400, "the client closed the connection before the end of the body", 0, 0};
  enum class pause { none, pipeline_full, body_full, peer_ended };
  /// What the client, or its next request, is waited for.
  enum class phase { idle, head, body, response, lingering };
  struct deadline {
    clock::time_point due;
    phase of;
  };

  ~connection() = default;

  void ready(readiness::event what) noexcept override;
  void wake() noexcept override;
  void flush_later() noexcept override;
  void handle(exchange::reply&& request) noexcept override;
  rejection on_head() override;
  rejection on_body(std::string_view bytes) override;

  template <class Work>
  void guarded(Work work) noexcept;
  void attend();
  void close() noexcept;
  void read();
  void read_ended();
  [[nodiscard]] bool reads_into_body() const;
  [[nodiscard]] std::string_view parse(std::string_view bytes);
  void received_body(std::size_t length);
  void count_body(std::size_t length);
  void await_body(std::size_t progress);
  [[nodiscard]] std::span<char> body_room();
  rejection collect(std::string_view bytes);
  bool begin_request();
  delivery transmit(exchange& from, response_part const& part, exchange_end how) noexcept;
  [[nodiscard]] bool keep_after(exchange const& from);
  void hand_over();
  void request_complete();
  void refuse(rejection const& why);
  void read_on();
  void linger();
  void await_output(io_result::state what);
  void output_ready(io_result::state what) noexcept;
  void wait_readable();
  void wait_writable();
  [[nodiscard]] bool wants_bytes() const;

  void check_timeouts();
  [[nodiscard]] deadline next_deadline(clock::time_point now);
  void too_late(phase of, clock::time_point now);
  void set_alarm(clock::time_point when);  // throws; the connection must be closed then
  void log(rejection const& why) const noexcept;

  std::atomic<std::uint32_t> references_{1};
  io_thread& home_;
  limits const& limits_;
  std::unique_ptr<transport> const transport_;
  std::unique_ptr<readiness> const events_;
  response_pipeline pipeline_;
  http_parser parser_;
  endpoint const peer_;
  endpoint const& local_;

  notice wake_notice_;
  std::optional<asio::steady_timer> timer_;  // gone once closed: the connection may outlive the I/O thread

  exchange* current_ = nullptr;  // being received
  exchange::reply reply_;        // its reply, until the response_pipeline has it
  bool body_held_ = false;       // the response_pipeline has it, and current_ is held for its body
  byte_buffer unparsed_;         // bytes behind a full line
  std::size_t ordinal_ = 0;

  bool open_ = true;
  bool reading_ = false;         // a wait of events_ is pending
  bool writing_ = false;         // likewise
  // What the response_pipeline's next write waits for; `done`: nothing.
  io_result::state output_waits_ = io_result::state::done;
  bool input_waits_for_writable_ = false;  // what the next read waits for
  pause paused_ = pause::none;
  std::size_t most_queued_ = 0; // there may be fewer by now
  bool body_ahead_ = false;      // the last request had a body
  bool last_request_ = false;    // nothing after this one is parsed
  bool lingering_ = false;       // what comes is thrown away
  bool hand_over_due_ = false;

  clock::time_point alarm_ = clock::time_point::max();
  clock::time_point receiving_since_{};  // of the head
  minimum_rate receiving_;               // of the body
  minimum_rate sending_;                 // while the kernel takes no more
  std::uint64_t delivered_ = 0;          // what the response_pipeline last said of it
  clock::time_point linger_until_{};

  bool live_ = true;             // counted as such by the http_server
  connection* previous_ = nullptr;  // in its I/O thread's list
  connection* next_ = nullptr;
  connection* next_unflushed_ = nullptr;  // likewise
};

// Whatever a connection has no memory for, it is the only one that ends.
template <class Work>
void connection::guarded(Work work) noexcept {
  try {
    work();
  } catch (std::exception const& e) {
    log({0, e.what()});
    close();
  }
}

}  // namespace kino::server
