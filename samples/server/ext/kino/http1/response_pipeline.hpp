// SPDX-License-Identifier: MIT
//
// The writing half of a connection: requests are handed over and answers go out here, in order,
// by any thread.

#pragma once

#include "base/options.hpp"
#include "base/transport.hpp"
#include "http/exchange.hpp"
#include "http1/response_bytes.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <string_view>

namespace kino::server {

/// A response_pipeline sends the answers of one connection in the order of its requests.
///
/// Whoever has an answer for the request at the head of the line writes it to the transport
/// itself, without waiting. That costs no wake-up of the I/O thread, which is asked for only
/// if the transport does not take everything.
///
/// Requests of one connection are handled one at a time: one that is ready waits here until
/// the answer before it is complete and less than tuning::write_buffer of all answers waits for
/// the client. The thread that brings this about, mostly the worker with the answer before,
/// hands the request over itself. So a connection keeps at most that many bytes and one answer.
///
/// A streamed response that its client reads more slowly than it is written goes on into a file, up
/// to the configured size, so its writer need not wait; the I/O thread sends it from there. If the
/// file cannot be written, the writer waits.
///
/// Small pieces of an answer that is written bit by bit gather here, because a system call
/// costs more than making such a piece. They go out together: when many are there, with the end
/// of the answer, when the writer's thread gives up its GVL (flush_on_suspend.hpp), and otherwise
/// after tuning::gather_time by the I/O thread, so a client waits for none of them longer.
///
/// The transport is closed under the same lock under which it is written to, so a worker can
/// never write into a file descriptor that has become something else.
///
/// Threads: any. `attach`, `serve`, `recall`, `writable` and `close` by the I/O thread only.
/// Blocks:  never for the client; a leaf lock is held around the non-blocking system call, and around reads
///          and writes of the file.
/// Callers hold a reference on the connection, if only through the exchange they pass.
class response_pipeline {
public:
  /// What only the I/O thread can do, as a set of bits.
  /// The first two: `writable` is to be called when the transport's descriptor is so.
  enum wish : unsigned {
    nothing = 0,
    wait_writable = 1,
    wait_readable = 2,
    read_on = 4,
    linger = 8,
    hang_up = 16,
  };

  /// Whom the response_pipeline asks for it; called without any lock, from any thread.
  class owner {
  public:
    virtual void wake() noexcept = 0;
    /// `flush_late` is to be called in a moment.
    virtual void flush_later() noexcept = 0;
    /// It is the turn of `request`.
    virtual void handle(exchange::reply&& request) noexcept = 0;

  protected:
    ~owner() = default;
  };

  /// `most_stored`: bytes of a response that may wait in a file, see limits::max_response_temp_file.
  response_pipeline(owner& o, transport& to, std::uint64_t most_stored = 0)
      : owner_(o), transport_(to), most_stored_(most_stored), since_(clock::now()) {}

  /// Puts a request at the end of the line, once, and keeps a reference to it. Returns the
  /// length of the line, or 0 if no further request is accepted.
  [[nodiscard]] std::size_t attach(exchange& next);
  /// Hands over a request that was attached when its turn comes; drops it if it never will.
  void serve(exchange::reply request) noexcept;
  /// Takes back a request whose turn has not come; empty if it has been handed over.
  [[nodiscard]] exchange::reply recall(exchange& waiting);
  /// Sends bytes of an answer or keeps them until it can.
  delivery deliver(exchange& from, response_bytes const& bytes) noexcept;
  /// Sends what has gathered, if it is its turn.
  void flush() noexcept;
  /// Refuses further requests if `last` is the last one in line; returns whether it is.
  bool end_after(exchange const& last);
  /// See exchange::await_room.
  bool await_room(exchange& writer);
  /// Makes the end of the connection visible as an error, now.
  void cut(exchange& from);

  /// Refuses further requests and ends the connection when the line is empty.
  void close_after_last();

  /// Asks the I/O thread to read on.
  void resume_reading() { ask(read_on); }
  /// Whether the line is full; if so, the I/O thread is asked to read on once it is not.
  [[nodiscard]] bool full();
  /// Whether a request is in line; if so, the I/O thread is asked to read on once none is.
  [[nodiscard]] bool busy();

  // --- for the I/O thread ---

  /// Sends what has gathered since it asked for `flush_later`.
  void flush_late() noexcept;
  /// The transport may take bytes again.
  void writable();
  [[nodiscard]] unsigned take_pending();
  /// The client will send no more.
  void peer_ended();
  /// Whether the client had gone when a request that was ready at `ready` might have been
  /// begun: it reset the connection, or ended its side so late that it had given up.
  [[nodiscard]] bool gave_up(clock::time_point ready);

  struct status {
    std::size_t waiting;      // requests in line
    std::uint64_t unsent;     // bytes of answers that wait for the client
    bool stalled;             // bytes wait for the client
    bool closing;             // no answer goes out any more
    clock::time_point since;  // of the last progress
    std::uint64_t delivered;  // if stalled: bytes that the client's side has taken so far
  };
  [[nodiscard]] status now();

  /// Closes the transport and lets everybody go who waits for it.
  void close() noexcept;

private:
  struct deferred {
    exchange* finished = nullptr;  // in line no more; one reference each
    exchange* dropped = nullptr;   // likewise, unanswered; a writer may sleep for room
    exchange* roomy = nullptr;     // still in line, its writer waits for room; one reference
    exchange::reply next;          // to be handed over
    bool wake = false;
    bool flush_later = false;
  };

  void ask(unsigned what);
  void add_pending(unsigned what, deferred& then);
  void note(exchange& from, response_bytes const& bytes);
  void take_over(exchange& from, response_bytes const& bytes, bool send_now, deferred& then);
  void keep(exchange& from, std::string_view bytes, bool last);
  void spill(exchange& from) noexcept;
  [[nodiscard]] bool above_high_watermark(exchange::outgoing const& out) const;
  [[nodiscard]] bool make_room(exchange& from) noexcept;
  [[nodiscard]] std::string_view first_of(exchange::outgoing& out, deferred& then) noexcept;
  std::size_t send_pieces(std::span<iovec> pieces, deferred& then);
  void pump(deferred& then);
  void serve_next(deferred& then);
  void finish_front(deferred& then);
  void end_output(deferred& then);
  void drop_queue(deferred& then);
  void run(deferred& then) noexcept;
  exchange& queued(std::size_t place) { return *queue_[(first_ + place) % queue_.size()]; }
  exchange& front() { return queued(0); }

  owner& owner_;
  std::mutex mutex_;
  transport& transport_;
  std::uint64_t const most_stored_;
  bool open_ = true;
  std::array<exchange*, tuning::pipeline_depth> queue_{};
  std::size_t first_ = 0;
  std::size_t length_ = 0;
  std::uint64_t sent_ = 0;  // bytes that the transport has taken
  unsigned pending_ = nothing;
  bool reads_first_ = false;  // the transport has to read before it can write
  bool stalled_ = false;  // the transport is full; the I/O thread will call `writable`
  bool flush_due_ = false;  // the I/O thread will call `flush_late`
  bool closing_ = false;  // the last answer has gone out, or none can
  bool refusing_ = false;
  bool end_when_empty_ = false;
  bool reader_waits_ = false;      // for the line to be half empty
  bool reader_waits_long_ = false;  // for it to be empty
  bool reset_ = false;
  bool peer_ended_ = false;
  std::atomic<bool> peer_left_{false};  // reset_ or peer_ended_, to be asked without the lock
  clock::time_point peer_ended_at_{};
  clock::time_point since_;
};

}  // namespace kino::server
