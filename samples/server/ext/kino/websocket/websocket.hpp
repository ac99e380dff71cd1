// SPDX-License-Identifier: MIT
//
// An open WebSocket or event stream: what the application writes to it, and the events that it handles.

#pragma once

#include "base/options.hpp"
#include "base/transport.hpp"
#include "http/protocol.hpp"
#include "http/upgrade.hpp"
#include "websocket/frame.hpp"
#include "websocket/kept_frames.hpp"
#include "websocket/websocket_turn.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <utility>

namespace kino::server {

class channel_hub;
class event_stream_protocol;
class push_protocol;
class websocket_protocol;

/// A websocket_event is one call of the handler.
struct websocket_event {
  enum class kind : std::uint8_t {
    none,
    open,      ///< The client can be written to.
    message,   ///< It has sent one.
    drained,   ///< What was kept for it has been sent: it was slower than its writers.
    shutdown,  ///< The server is being stopped; the connection is closed after this event.
    close,     ///< The connection has ended. The last one.
  };
  kind what = kind::none;
  bool text = false;  ///< Of a message.
  std::string data = {};
};

/// The kinds of events that a handler wants, as bits.
class websocket_interest {
public:
  constexpr websocket_interest() = default;
  void add(websocket_event::kind one) { bits_ |= bit(one); }
  [[nodiscard]] bool has(websocket_event::kind one) const { return (bits_ & bit(one)) != 0; }

private:
  static constexpr std::uint8_t bit(websocket_event::kind one) { return static_cast<std::uint8_t>(1U << static_cast<unsigned>(one)); }
  std::uint8_t bits_ = 0;
};

/// A websocket is one connection from the response that begins it until its last event has been handled. It sends what
/// any thread writes, keeps what the client does not take yet, and hands out events, one at a time and in order.
///
/// Written from any thread, a message goes to the transport at once, by that thread. What the transport does not take is
/// kept, in order, and sent by the I/O thread. More than `most_kept` bytes of memory are not: the connection is then closed, so
/// a client that does not read costs no more than that.
///
/// Events:
///
///     none waits                    The first one that comes schedules a turn.
///     a turn is scheduled or held   Further events wait; `finish` of the turn schedules the next one.
///     most_unhandled bytes of       Reading stops, so the client waits, too. The turn that takes the message below half
///     messages wait                 of it lets the I/O thread read on.
///
/// It ends when either side has said so and the other has answered, within `close_grace`; when the client breaks a rule,
/// answers no ping or leaves; or with the server. Then the `close` event comes, after all messages.
///
/// Compressed messages wait as they are. The turn that takes one decompresses it, and closes the connection if it is invalid or
/// too long: neither costs the I/O thread anything, and the limit of what waits is one of what was sent.
///
/// An event stream is one, too, whose client sends nothing: it has no `message` events, and is closed without a handshake.
///
/// Threads: any, unless stated otherwise. One leaf mutex guards it all, the transport included.
/// Blocks:  never, except for the mutex.
/// Lifetime: counted. Handles in the application may keep it beyond its connection; then nothing can be written.
class websocket final : public upgrade, public std::enable_shared_from_this<websocket> {
public:
  struct settings {
    dialect speaks = dialect::frames;
    bool compression = true;  ///< Whether to accept a client's offer of it; read at the handshake.
    std::size_t max_message_size = 1024 * 1024;
    std::size_t most_unhandled = 256 * 1024;
    std::size_t most_kept = 4 * 1024 * 1024;
    clock::duration ping_interval = std::chrono::seconds(40);
    clock::duration close_grace = std::chrono::seconds(5);
  };
  /// What the application keeps with the connection.
  class companion {
  public:
    virtual ~companion() = default;
  };

  /// Its events are scheduled with `turns`, which lives at least until it is told that it is `over`. `with` may be null.
  websocket(settings const& chosen, websocket_interest wanted, websocket_scheduler& turns, std::unique_ptr<companion> with)
      : settings_(chosen), wanted_(wanted), turns_(turns), companion_(std::move(with)), ping_interval_(chosen.ping_interval) {}
  websocket(websocket const&) = delete;

  // upgrade
  [[nodiscard]] std::unique_ptr<protocol> begin(protocol_context const& shared, protocol::host& connection, transport& to) override;

  // --- for the application ---

  [[nodiscard]] companion* with() const { return companion_.get(); }
  /// The form in which the client gets messages.
  [[nodiscard]] dialect speaks() const { return settings_.speaks; }
  /// Sends a message in frames, compressed if the dialect has that, or keeps it for the client. False if the connection is
  /// closing or closed, or is closed now because it cannot be kept.
  bool write(opcode kind, std::string_view data) noexcept;
  /// Likewise, encoded in the dialect of the client.
  bool write(shared_frame const& message) noexcept;
  /// Whether `write` of so many bytes computes for so long that a caller should not hold a lock: the GVL.
  [[nodiscard]] bool takes_long_to_write(std::size_t size) const;
  /// Begins to close the connection: nothing more is written, and no further message is handled. An event stream has no place
  /// for the status.
  void close(std::uint16_t status) noexcept;
  /// Whether it can be written to.
  [[nodiscard]] bool open() const noexcept;
  /// The number of messages that are kept for the client.
  [[nodiscard]] std::size_t kept() const noexcept;
  [[nodiscard]] clock::duration ping_interval() const noexcept;
  /// After that time without a word from the client, it is pinged, and after twice that time given up. Positive.
  void set_ping_interval(clock::duration interval) noexcept;
  /// Lets the hub know of the end of the connection. Returns false if it has ended. There is one hub.
  [[nodiscard]] bool join(channel_hub& hub) noexcept;

private:
  friend class event_stream_protocol;
  friend class push_protocol;
  friend class websocket_protocol;
  friend class websocket_turn;
  friend class websocket_line;

  enum class stage : std::uint8_t {
    upgrading,  ///< The response has not been sent: what is written is kept.
    open,
    closing,    ///< One side has sent a close frame.
    ending,     ///< Both have, or none is expected: what is kept is sent, and the transport shut down.
    closed,     ///< The transport is not used any more.
  };
  /// What only the I/O thread can do, as bits.
  enum operation : unsigned {
    nothing = 0,
    wait_writable = 1,
    wait_readable = 2,
    read_on = 4,
    look_at_time = 8,
    linger = 16,
    hang_up = 32,
  };
  /// A message that waits for its turn.
  struct unhandled_message {
    bool text;
    bool compressed;
    std::string data;

    /// Bytes, with its place in a list.
    [[nodiscard]] std::size_t size() const { return data.size() + sizeof(unhandled_message) + 2 * sizeof(void*); }
  };
  /// What is done once the lock is given back.
  struct deferred {
    protocol::host* wake = nullptr;  // held
    char const* lost = nullptr;      // why the connection is given up, for the log
    websocket_turn turn;
    channel_hub* left = nullptr;
    bool over = false;
  };

  // With the lock.
  template <class Work>
  void locked(Work work) noexcept;
  void run(deferred& then) noexcept;
  void ask(unsigned what, deferred& then) noexcept;
  [[nodiscard]] bool put(std::span<iovec const> pieces, shared_frame const* whole, bool message, deferred& then) noexcept;
  void begin_close(std::uint16_t status, stage next, deferred& then) noexcept;
  void stall(io_result written, deferred& then) noexcept;
  void lose(deferred& then, char const* why = nullptr) noexcept;
  void pump(deferred& then) noexcept;
  void drop_unhandled() noexcept;
  void end_events(deferred& then) noexcept;
  void schedule(deferred& then) noexcept;
  [[nodiscard]] bool has_event() const noexcept;

  // What a close_code with which a client is refused says, for the log.
  [[nodiscard]] static char const* describe(std::uint16_t violation);
  void report(char const* why, deferred& then) noexcept;
  void refuse(std::uint16_t violation, char const* why) noexcept;

  // For turns.
  struct taken_event {
    websocket_event event;
    bool compressed = false;
  };
  [[nodiscard]] websocket_event take_event() noexcept;
  [[nodiscard]] taken_event take_next() noexcept;
  [[nodiscard]] std::size_t next_compressed() const noexcept;
  void finish_turn() noexcept;
  void abandon_turn() noexcept;
  void discard_turns() noexcept;

  settings const settings_;
  websocket_interest const wanted_;
  websocket_scheduler& turns_;
  std::unique_ptr<companion> const companion_;

  mutable std::mutex mutex_;  // guards all that follows
  stage stage_ = stage::upgrading;
  protocol::host* host_ = nullptr;   // from `begin` until the connection is closed
  transport* transport_ = nullptr;   // likewise
  unsigned pending_ = nothing;
  clock::duration ping_interval_;

  kept_frames kept_;
  std::uint64_t kept_sent_ = 0;    // bytes of what was kept that have been sent
  bool stalled_ = false;           // the transport is full
  bool close_sent_ = false;        // or kept
  bool lost_ = false;              // nothing more is sent
  bool shut_down_ = false;         // all has been sent
  bool was_slow_ = false;          // a `drained` event is due when nothing is kept any more

  std::list<unhandled_message> unhandled_;
  std::size_t unhandled_bytes_ = 0;
  bool paused_ = false;            // reading is, until a turn makes room
  bool open_due_ = false;
  bool drained_due_ = false;
  bool shutdown_due_ = false;
  bool shutting_down_ = false;     // the turn that is held is that of `shutdown`
  bool close_due_ = false;
  channel_hub* hub_ = nullptr;     // which has to know of the end
  bool scheduled_ = false;         // a turn is scheduled or held
  bool ended_ = false;             // nothing but `close` follows the messages
  bool over_ = false;              // there will be no turn any more
  websocket_turn next_in_line_;    // guarded by the websocket_line
};

// Calls `work` with the lock, and does afterwards what it has deferred. The caller keeps this object.
template <class Work>
void websocket::locked(Work work) noexcept {
  deferred then;
  {
    std::lock_guard guard(mutex_);
    work(then);
  }
  run(then);
}

}  // namespace kino::server
