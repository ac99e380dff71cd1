// SPDX-License-Identifier: MIT
//
// response_pipeline: the writing half of a connection, which sends responses in the order of the requests.

#pragma once

#include "base/options.hpp"
#include "base/transport.hpp"
#include "http/exchange.hpp"
#include "http1/http1_state.hpp"
#include "http1/response_bytes.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>

namespace kino::server {

/// A response_pipeline sends the responses of one connection in the order of its requests.
///
/// A thread that has a part of the response to the first request in the queue writes it to the
/// transport itself, without waiting. This needs no wake-up of the I/O thread, unless the transport
/// does not take everything.
///
/// Requests of one connection are handled one at a time: one that is ready waits here until the
/// previous response is complete, and fewer than tuning::write_buffer bytes of all responses wait for
/// the client. The thread that makes this true, usually the worker of the previous request, hands the
/// next one over. A connection therefore keeps at most that many bytes and one response.
///
/// A response that its client reads more slowly than it is written goes on into a file, up to the
/// configured size, so its writer need not wait; the I/O thread sends it from there. If the file is
/// full or cannot be written, the writer waits; what has no more to come stays in memory.
///
/// A file is sent by the I/O thread, which reads it: the disk may make it wait for each slice.
///
/// Small parts of a streamed response are gathered, because a system call costs more than producing
/// such a part. They are sent together: when there are many, with the end of the response, when the
/// writer's thread releases its GVL (flush_on_suspend.hpp), and otherwise by the I/O thread after
/// tuning::gather_time.
///
/// The transport is written to and closed under one lock, so no worker writes to a descriptor that
/// has been closed and reused.
///
/// After the response that upgrades the connection, everything that it took has been given to the transport, and it
/// does not touch the transport any more, unless it is closed.
///
/// Threads: any. `attach`, `serve`, `recall`, `writable` and `close` by the I/O thread only.
/// Blocks:  never for the client; a leaf lock is held around the non-blocking system call, and around reads
///          and writes of files.
/// Callers hold a reference on the connection, if only through the exchange they pass. An exchange has an http1_state.
class response_pipeline {
public:
  /// The operations that only the I/O thread can do, as bits. For the first two, it calls `writable` when
  /// the transport's descriptor is ready.
  enum operation : unsigned {
    nothing = 0,
    wait_writable = 1,
    wait_readable = 2,
    read_on = 4,
    linger = 8,
    hang_up = 16,
    change_protocol = 32,
    open_tunnel = 64,
  };

  /// The connection, as the response_pipeline sees it. Any thread calls it, without a lock.
  class owner {
  public:
    /// The I/O thread must call `take_pending` and do what it returns.
    virtual void wake() noexcept = 0;
    /// The I/O thread must call `flush_late` after tuning::gather_time.
    virtual void flush_later() noexcept = 0;
    /// Takes over `request`, whose turn it is.
    virtual void handle(exchange::reply&& request) noexcept = 0;

  protected:
    ~owner() = default;
  };

  response_pipeline(owner& o, transport& to, response_buffer::overflow const& overflow)
      : owner_(o), transport_(to), overflow_(overflow), since_(clock::now()) {}

  /// Appends a request to the queue, once, and keeps a reference to it. Returns the length of the
  /// queue, or 0 if no further request is accepted.
  [[nodiscard]] std::size_t attach(exchange& next);
  /// Hands over a request that was attached when its turn comes, or drops it if the connection ends first.
  void serve(exchange::reply request) noexcept;
  /// Takes back a request whose turn has not come; empty if it has been handed over.
  [[nodiscard]] exchange::reply recall(exchange& waiting);
  /// Sends bytes of a response, or keeps them until it can.
  delivery deliver(exchange& from, response_bytes const& bytes) noexcept;
  /// Sends gathered parts of the response whose turn it is.
  void flush() noexcept;
  /// Refuses further requests if `last` is the last one in the queue; returns whether it is.
  bool end_after(exchange const& last);
  /// See exchange::await_room.
  bool await_room(exchange& writer);
  /// See response_sink::duplicate_socket.
  [[nodiscard]] int duplicate_socket(exchange& from);
  /// See response_sink::sends_files.
  [[nodiscard]] bool sends_files() const noexcept { return transport_.sends_files(); }
  /// Makes the end of the connection visible as an error, now.
  void cut(exchange& from);

  /// Refuses further requests, and ends the connection when the queue is empty.
  void close_after_last();

  /// Asks the I/O thread to read on.
  void resume_reading() { ask(read_on); }
  /// Whether the queue is full; if so, `read_on` becomes pending once half of it is empty.
  [[nodiscard]] bool full();
  /// Whether the queue has a request; if so, `read_on` becomes pending once it has none.
  [[nodiscard]] bool busy();

  // --- for the I/O thread ---

  /// Sends parts that have gathered since `owner::flush_later` was called.
  void flush_late() noexcept;
  /// The transport may take bytes again.
  void writable();
  /// Returns the pending operations, which then no longer are.
  [[nodiscard]] unsigned take_pending();
  /// The exchange that has the rest of the connection, once `open_tunnel` is pending; null: none, or it was taken. The
  /// caller has a reference to it.
  [[nodiscard]] exchange* take_tunnel();
  /// What the connection becomes, once `change_protocol` is pending.
  [[nodiscard]] std::shared_ptr<upgrade> take_upgrade();
  /// The client will send no more.
  void peer_ended();
  /// Whether the client had gone when a request that was ready at `ready` might have been
  /// begun: it reset the connection, or ended its side so late that it had given up.
  [[nodiscard]] bool gave_up(clock::time_point ready);

  struct status {
    std::size_t waiting;      // requests in the queue
    std::uint64_t unsent;     // bytes of responses that wait for the client
    bool stalled;             // bytes wait for the client
    bool closing;             // no further response is sent
    clock::time_point since;  // of the last progress
    std::uint64_t delivered;  // if stalled: bytes that the client's side has taken so far
  };
  [[nodiscard]] status now();

  /// Closes the transport, drops all requests in the queue and wakes their waiting writers.
  void close() noexcept;

private:
  struct deferred {
    exchange* finished = nullptr;  // removed from the queue; one reference each
    exchange* dropped = nullptr;   // likewise, not answered; its writer may be waiting for room
    exchange* roomy = nullptr;     // still in the queue, its writer waits for room; one reference
    exchange::reply next;          // to be handed over
    bool wake = false;
    bool flush_later = false;
  };

  void ask(unsigned what);
  void add_pending(unsigned what, deferred& then);
  void take_over(exchange& from, response_bytes const& bytes, bool send_now, deferred& then);
  void keep(exchange& from, response_bytes const& bytes, std::size_t sent);
  [[nodiscard]] std::string_view first_of(http1_state::outgoing& out, deferred& then) noexcept;
  std::size_t send_pieces(std::span<iovec> pieces, deferred& then);
  /// `reads_files`: this is the I/O thread.
  void pump(deferred& then, bool reads_files = false);
  void stall(operation until, deferred& then);
  [[nodiscard]] bool send_file(file_range& file, bool reads_files, deferred& then);
  void serve_next(deferred& then);
  void finish_front(deferred& then);
  void end_output(deferred& then);
  void end_http(std::shared_ptr<upgrade>&& next, deferred& then);
  void drop_queue(deferred& then);
  void run(deferred& then) noexcept;
  [[nodiscard]] exchange* in_vain();
  [[nodiscard]] bool late_end(clock::time_point ready) const;
  exchange& queued(std::size_t place) { return *queue_[(first_ + place) % queue_.size()]; }
  exchange& front() { return queued(0); }
  static http1_state::outgoing& output_of(exchange& any) { return http1_state::of(any).out; }

  owner& owner_;
  std::mutex mutex_;
  transport& transport_;
  response_buffer::overflow const overflow_;
  bool open_ = true;
  std::array<exchange*, tuning::pipeline_depth> queue_{};
  std::size_t first_ = 0;
  std::size_t length_ = 0;
  exchange* tunnel_ = nullptr;  // one reference
  std::shared_ptr<upgrade> upgrade_;
  std::uint64_t sent_ = 0;  // bytes that the transport has taken
  unsigned pending_ = nothing;
  bool reads_first_ = false;  // the transport has to read before it can write
  bool stalled_ = false;  // the transport is full; the I/O thread will call `writable`
  bool flush_due_ = false;  // the I/O thread will call `flush_late`
  bool closing_ = false;  // the last response has been sent, or none can be
  bool refusing_ = false;
  bool end_when_empty_ = false;
  bool reader_waits_ = false;      // for the queue to be half empty
  bool reader_waits_long_ = false;  // for it to be empty
  bool reset_ = false;
  bool peer_ended_ = false;
  std::atomic<bool> peer_left_{false};  // reset_ or peer_ended_, to be asked without the lock
  clock::time_point peer_ended_at_{};
  clock::time_point since_;
};

}  // namespace kino::server
