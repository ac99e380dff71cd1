// SPDX-License-Identifier: MIT
//
// One request, its body, and the response to it.

#pragma once

#include "base/byte_buffer.hpp"
#include "base/options.hpp"
#include "base/spool_file.hpp"
#include "base/temporary_files.hpp"
#include "http/body_pipe.hpp"
#include "http/body_spool.hpp"
#include "http/cancellation.hpp"
#include "http/forwarded.hpp"
#include "http/observer.hpp"
#include "http/request.hpp"
#include "http/response.hpp"
#include "http/response_due.hpp"
#include "http/response_sink.hpp"

#include <kino/fork_mark.hpp>
#include <kino/responder.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <sys/uio.h>
#include <typeinfo>
#include <utility>

namespace kino::server {

class exchange_pool;

/// What a protocol keeps with an exchange.
class protocol_state {
public:
  virtual ~protocol_state() = default;
  /// Prepares for the next use of the exchange; keeps memory for it.
  virtual void clear() noexcept = 0;
};

/// An exchange is one request on its way through the server, and the place where its response goes.
///
/// A connection makes it, fills in the head and feeds the body. It travels as a `kino::responder<response_part>`. The
/// holder of one may read `head` and `body`, describes its response in `response`, and answers with the first part of
/// it; the one whose answer was accepted sends the other parts, if any, with `send`. When the last handle is gone the
/// exchange returns to the pool of its I/O thread, memory included.
///
/// Threads: one worker at a time; what the I/O thread touches meanwhile is locked inside.
class exchange final : public kino::completion<response_part> {
public:
  using reply = kino::responder<response_part>;

  explicit exchange(exchange_pool& home) : pool_(home) {}
  /// The exchange that `r` answers.
  [[nodiscard]] static exchange& of(reply const& r) { return static_cast<exchange&>(*r.place()); }

  // --- for handlers ---

  [[nodiscard]] request const& head() const { return head_; }
  /// Whether the body may still be on its way, through `body`; otherwise it is all there, in `collected`. After the first part
  /// of a response that upgrades the connection and goes on, `body` has what the client sends behind the request.
  [[nodiscard]] bool streamed() const { return streamed_; }
  [[nodiscard]] body_pipe& body() { return body_; }
  [[nodiscard]] body_spool& collected() { return collected_; }
  /// The two ends of the connection, as text.
  [[nodiscard]] endpoint const& peer() const { return sink_->peer(); }
  [[nodiscard]] endpoint const& local() const { return sink_->local(); }
  /// What trusted proxies say of the request's client; null: no proxy is believed, or the head is not complete.
  [[nodiscard]] forwarded_origin const* origin() const { return has_origin_ ? origin_.get() : nullptr; }
  /// The client of the request, and whether it uses HTTPS: those of `origin`, else those of the connection.
  [[nodiscard]] endpoint const& client() const { return has_origin_ ? origin_->client() : peer(); }
  [[nodiscard]] bool secure() const { return has_origin_ ? origin_->secure() : local().secure; }
  /// When the request was complete, or complete enough to be handled.
  [[nodiscard]] clock::time_point ready_at() const { return ready_at_; }

  /// Claims the request for a worker. False if it has waited too long: it is answered then, or about to be.
  [[nodiscard]] bool begin() noexcept;
  /// Whether a worker has it, or had.
  [[nodiscard]] bool taken() const noexcept { return taken_.load(std::memory_order_relaxed); }  // see `begin`
  /// Claims the request so that no worker begins it any more. False if one has.
  [[nodiscard]] bool withdraw() noexcept { return !begun_.exchange(true); }

  /// Labels the exchange, before the response is sent. `what` must live as long as the observer. An exchange that the server ends
  /// at the same moment may be reported without it.
  void label(exchange_label& what) noexcept { label_.store(&what, std::memory_order_release); }

  /// The response, to be described before its first part is sent. It belongs to the request's worker, also after
  /// another thread has ended the request.
  [[nodiscard]] response_head& response() { return response_; }
  /// Likewise its trailers, before its last part is sent.
  [[nodiscard]] response_trailers& trailers() { return trailers_; }

  /// Sends an interim response; before the first part of the response.
  delivery send_interim(response_head const& what) { return inherited() ? delivery::gone : sink_->interim(*this, what); }
  /// Sends a further part of the response.
  delivery send(response_part const& part);
  /// Sends the parts that wait for more: with HTTP/2, those of all responses of the connection.
  void flush();
  /// Whether the first part waits for more; for the thread that has sent it.
  [[nodiscard]] bool gathered() const { return gathered_; }
  /// Whether `flush` of one does what that of the other would.
  [[nodiscard]] bool flushed_with(exchange const& other) const { return this == &other || (gathered_ && sink_ == other.sink_); }
  /// Whether so much waits for the client that the writer should wait; if so, `departures` is notified
  /// when there is room, or when nothing more can be sent.
  [[nodiscard]] bool await_room();
  [[nodiscard]] kino::parker& departures() { return departures_; }
  /// Ends the response so that the client sees that it is incomplete.
  void cut();

  /// See response_sink::sends_files.
  [[nodiscard]] bool sends_files() const { return !inherited() && sink_->sends_files(); }
  /// See response_sink::duplicate_socket.
  [[nodiscard]] int duplicate_socket() { return inherited() ? -1 : sink_->duplicate_socket(*this); }

  /// Takes bytes of the body and lets the connection read on when there is room again. Throws
  /// std::system_error, if they are in a file that cannot be read.
  [[nodiscard]] body_pipe::taken read(char* out, std::size_t room);
  /// What `read` returns for the part of the collected body that was claimed last.
  [[nodiscard]] body_pipe::taken taken_of(body_spool::part const& claimed) const;
  /// The trailers of the request, once its body has been read to its end; before that, null.
  [[nodiscard]] field_section const* received_trailers();
  /// The handler will read no more of the body.
  void close_body();

  /// Whether the client left before its request could be begun, or has left since.
  [[nodiscard]] bool client_gone() const;
  /// Whether the handler's response is in vain. The handler calls `finish` when it has nothing more to do with the request.
  [[nodiscard]] cancellation& cancelling() { return cancellation_; }
  /// The time by which a response must begin.
  [[nodiscard]] response_due& due() { return due_; }

  // --- for the protocol ---

  /// The request, which the I/O thread fills in before it hands the exchange over.
  [[nodiscard]] request& head() { return head_; }
  /// Finds `origin` once the fields of the head are complete. Throws std::bad_alloc.
  void find_origin();
  /// The handler gets the request before its body, which then goes through `body`; otherwise it is collected.
  void stream_body() { streamed_ = true; }
  /// Counts bytes of the body that have been received; the I/O thread.
  void count_body(std::size_t length) noexcept;
  /// The request is handed over now.
  void ready() noexcept { ready_at_ = clock::now(); }

  /// What the observer is told of the response; guarded by the protocol's lock.
  struct sent {
    exchange_end how = exchange_end::complete;
    int status = 0;
    std::uint64_t body_bytes = 0;
    clock::time_point answered;  // if observed
  };
  /// Records a part of the response: its status if it has the head, the bytes of the body, and how the exchange ends
  /// if not `complete`.
  void note(int status, std::uint64_t body_bytes, exchange_end how) noexcept;
  /// No more of the response will be sent. Tells the observer, once: with `how` if nothing else was noted. Without a lock.
  void report(exchange_end how) noexcept;

  /// The protocol's own state with this exchange. `begin_state` makes it, unless the exchange has one of this type from
  /// its last use. Throws std::bad_alloc.
  template <class State>
  State& begin_state() {
    if (!state_type_ || *state_type_ != typeid(State)) {
      state_ = std::make_unique<State>();
      state_type_ = &typeid(State);
    }
    return static_cast<State&>(*state_);
  }
  [[nodiscard]] protocol_state* state() { return state_.get(); }
  [[nodiscard]] protocol_state const* state() const { return state_.get(); }

private:
  friend class exchange_pool;
  friend class queue_deadline;

  [[nodiscard]] bool inherited() const;
  [[nodiscard]] bool begun_or_ended() const noexcept { return begun_.load() || ended(); }
  void delivered(kino::outcome<response_part>&& result) noexcept override;
  void released() noexcept override;
  void discard_body();
  [[nodiscard]] bool observed() const noexcept;

  exchange_pool& pool_;
  response_sink* sink_ = nullptr;  // released with the exchange
  request head_;
  body_pipe body_;
  body_spool collected_;
  std::unique_ptr<forwarded_origin> origin_;  // kept for the next use
  bool has_origin_ = false;
  bool streamed_ = false;
  bool tunnel_ = false;  // then streamed_, too
  bool gathered_ = false;
  response_head response_;
  response_trailers trailers_;
  std::unique_ptr<protocol_state> state_;
  std::type_info const* state_type_ = nullptr;  // of *state_
  sent sent_;
  kino::parker departures_;
  cancellation cancellation_;
  response_due due_;
  clock::time_point ready_at_{};  // guarded by the protocol's lock until it is handed over
  clock::time_point started_at_{};           // if observed
  std::atomic<clock::rep> taken_at_{0};      // likewise
  std::atomic<exchange_label*> label_{nullptr};  // written by the worker; release and acquire: what it points to
  std::atomic<std::uint64_t> received_{0};   // bytes of the body; written by the I/O thread
  exchange* next_ = nullptr;

  std::atomic<bool> begun_{false};     // a worker has it, or the queue_deadline
  std::atomic<bool> taken_{false};     // a worker has it
  clock::time_point expires_at_{};     // guarded by the queue_deadline's lock, as is the next one
  exchange* watched_next_ = nullptr;
};

/// An exchange_pool keeps the exchanges of one I/O thread for their next request, and the file for
/// what they have no memory for.
///
/// Threads: `acquire` by the I/O thread; exchanges come back from any thread without a lock.
/// Lifetime: until its owner has let go and the last exchange has come back.
class exchange_pool {
public:
  struct closer {
    void operator()(exchange_pool* pool) const noexcept { pool->close(); }
  };
  using owner = std::unique_ptr<exchange_pool, closer>;

  /// `files` creates the file; null: in the default directory. `observes` may be null, and so may `believes`, which outlives
  /// the owner.
  [[nodiscard]] static owner make(std::shared_ptr<temporary_files const> files = nullptr,
                                  std::shared_ptr<observer> observes = nullptr, forwarding_policy const* believes = nullptr) {
    if (!files) files = std::make_shared<temporary_files>();
    return owner(new exchange_pool(std::move(files), std::move(observes), believes));
  }
  /// An exchange whose response goes to `sink`, which must be kept until the exchange releases it.
  [[nodiscard]] exchange& acquire(response_sink& sink);
  /// The file for large bodies; any thread.
  [[nodiscard]] spool_file& spool() { return spool_; }
  /// Gives the body memory that an earlier large body had, if there is some.
  void lend_memory(body_spool& body) noexcept;

private:
  friend class exchange;

  exchange_pool(std::shared_ptr<temporary_files const> files, std::shared_ptr<observer> observes,
                forwarding_policy const* believes) noexcept
      : spool_(std::move(files)), observer_(std::move(observes)), believes_(believes) {}
  ~exchange_pool();
  [[nodiscard]] exchange& next();
  void recycle(exchange& done) noexcept;
  void take_memory(body_spool& body) noexcept;
  void close() noexcept;
  void forget() noexcept;

  kino::fork_mark const born_;
  spool_file spool_;
  std::shared_ptr<observer> const observer_;
  forwarding_policy const* const believes_;
  exchange* ready_ = nullptr;  // the I/O thread's own
  std::atomic<exchange*> returned_{nullptr};
  std::atomic<std::size_t> alive_{1};  // exchanges, and one for the owner

  // Large bodies are too much for each exchange to keep, and too many to allocate each time.
  std::mutex spare_mutex_;
  std::array<byte_buffer, tuning::spare_bodies> spare_;
  std::size_t spare_count_ = 0;
};

}  // namespace kino::server
