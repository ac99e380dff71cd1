// SPDX-License-Identifier: MIT

#include "websocket/websocket_reader.hpp"

#include "websocket/compression.hpp"
#include "websocket/frame.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <utility>

#ifdef KINO_WSLAY
#include <wslay/wslay.h>
#endif

namespace kino::server {

#ifdef KINO_WSLAY

// A wslay context with the message that is being received. Its messages are collected here, as they come: wslay would
// allocate a frame's length before it has come. What wslay would answer is thrown away: the protocol answers.
class websocket_reader::session {
public:
  session() {
    wslay_event_callbacks calls{};
    calls.recv_callback = &recv;
    calls.send_callback = &send;
    calls.on_frame_recv_start_callback = &begin_frame;
    calls.on_frame_recv_chunk_callback = &data;
    calls.on_frame_recv_end_callback = &end_frame;
    calls.on_msg_recv_callback = &end_message;
    if (wslay_event_context_server_init(&context_, &calls, this) != 0) throw std::bad_alloc();
    wslay_event_config_set_no_buffering(context_, 1);
  }
  session(session const&) = delete;
  ~session() { wslay_event_context_free(context_); }

  // Returns whether more can be received. Afterwards it may be in no frame and no message, see `clean`.
  bool receive(websocket_reader& of, std::string_view bytes) {
    reader_ = &of;
    input_ = bytes;
    wslay_event_config_set_max_recv_msg_length(context_, of.compression_ ? most_compressed(of.longest_) : of.longest_);
    wslay_event_config_set_allowed_rsv_bits(context_, of.compression_ ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE);
    int const result = wslay_event_recv(context_);
    reader_ = nullptr;
    if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
    if (result == WSLAY_ERR_NOMEM) throw std::bad_alloc();
    if (closed_) return false;
    if (result != 0) violation_ = close_code::protocol_error;  // wslay gives no status for an invalid head of a frame
    // What it has queued are pongs, or its own close frame, which has the reason.
    if (wslay_event_send(context_) != 0) throw std::bad_alloc();
    if (violation_ == 0 && wslay_event_get_close_sent(context_)) violation_ = wslay_event_get_status_code_sent(context_);
    if (violation_ == 0) return true;
    of.sink_.on_violation(violation_);
    return false;
  }

  [[nodiscard]] bool clean() const { return unfinished_ == 0 && !in_message_; }

private:
  static session& of(void* user) { return *static_cast<session*>(user); }

  // wslay is C: exceptions wait here until it has returned.
  template <class Work>
  void guarded(Work work) noexcept {
    if (failed_ || violation_ != 0) return;
    try {
      work();
    } catch (...) {
      failed_ = std::current_exception();
      wslay_event_shutdown_read(context_);
    }
  }

  static ssize_t recv(wslay_event_context_ptr context, std::uint8_t* into, std::size_t room, int, void* user) {
    std::string_view& input = of(user).input_;
    if (input.empty()) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    std::size_t const length = std::min(room, input.size());
    std::memcpy(into, input.data(), length);
    input.remove_prefix(length);
    of(user).unfinished_ += static_cast<std::int64_t>(length);
    return static_cast<ssize_t>(length);
  }

  static ssize_t send(wslay_event_context_ptr, std::uint8_t const*, std::size_t length, int, void*) {
    return static_cast<ssize_t>(length);
  }

  static bool is_control(std::uint8_t kind) { return (kind & 8U) != 0; }

  static void begin_frame(wslay_event_context_ptr context, wslay_event_on_frame_recv_start_arg const* frame, void* user) {
    session& me = of(user);
    // The length of its head follows from that of its payload: wslay accepts only the shortest form, and masks.
    me.frame_ = 6 + (frame->payload_length < 126 ? 0 : frame->payload_length < 65536 ? 2 : 8) +
                static_cast<std::int64_t>(frame->payload_length);
    me.control_ = is_control(frame->opcode);
    if (me.control_) return;
    if (!std::exchange(me.in_message_, true)) me.compressed_ = wslay_get_rsv1(frame->rsv) != 0;
    std::size_t const longest = me.compressed_ ? most_compressed(me.reader_->longest_) : me.reader_->longest_;
    if (frame->payload_length > longest - me.message_.size()) {
      me.violation_ = close_code::message_too_big;
      wslay_event_shutdown_read(context);
    }
  }

  static void data(wslay_event_context_ptr, wslay_event_on_frame_recv_chunk_arg const* chunk, void* user) {
    session& me = of(user);
    if (me.control_) return;
    me.guarded([&] { me.message_.append({reinterpret_cast<char const*>(chunk->data), chunk->data_length}); });
  }

  static void end_frame(wslay_event_context_ptr, void* user) {
    session& me = of(user);
    me.unfinished_ -= me.frame_;
  }

  static void end_message(wslay_event_context_ptr context, wslay_event_on_msg_recv_arg const* message, void* user) {
    session& me = of(user);
    std::string_view const bytes(reinterpret_cast<char const*>(message->msg), message->msg_length);
    me.guarded([&] {
      sink& to = me.reader_->sink_;
      switch (message->opcode) {
        case WSLAY_CONNECTION_CLOSE:
          if (message->msg_length == 1) {
            me.violation_ = close_code::protocol_error;  // half a status
            return;
          }
          me.closed_ = true;
          return to.on_close(message->msg_length == 0 ? close_code::none : message->status_code);
        case WSLAY_PING:
          to.on_ping(bytes);
          if (wslay_event_send(context) != 0) throw std::bad_alloc();  // its pong, so that they do not gather
          return;
        case WSLAY_PONG: return;
        default:
          me.in_message_ = false;
          to.on_message({message->opcode == WSLAY_TEXT_FRAME, me.compressed_, me.message_.view()});
          me.message_.clear(kept);
      }
    });
  }

  static constexpr std::size_t kept = 4096;

  wslay_event_context_ptr context_ = nullptr;
  websocket_reader* reader_ = nullptr;  // during `receive`
  std::string_view input_;
  byte_buffer message_;
  std::int64_t unfinished_ = 0;  // bytes that wslay has taken, of frames that have not ended
  std::int64_t frame_ = 0;       // the length of the current one
  bool control_ = false;         // what the current one is
  bool in_message_ = false;
  bool compressed_ = false;      // the message is
  bool closed_ = false;
  std::uint16_t violation_ = 0;
  std::exception_ptr failed_;
};

bool websocket_reader::available() noexcept { return true; }

void websocket_reader::receive(std::string_view bytes) {
  if (ended_ || bytes.empty()) return;
  // The one between two messages of any connection of this thread.
  thread_local std::unique_ptr<session, deleter> spare;
  if (!session_) session_ = std::move(spare);
  if (!session_) session_.reset(new session);
  ended_ = true;  // if it throws
  ended_ = !session_->receive(*this, bytes);
  if (ended_) return session_.reset();
  if (session_->clean()) spare = std::move(session_);
}

#else

class websocket_reader::session {};

bool websocket_reader::available() noexcept { return false; }

void websocket_reader::receive(std::string_view) {
  if (!std::exchange(ended_, true)) sink_.on_violation(close_code::protocol_error);
}

#endif

websocket_reader::websocket_reader(sink& to, std::size_t longest, bool compression)
    : sink_(to), longest_(longest), compression_(compression) {}

websocket_reader::~websocket_reader() = default;

void websocket_reader::deleter::operator()(session* used) const noexcept { delete used; }

}  // namespace kino::server
