// SPDX-License-Identifier: MIT
//
// http2_session: nghttp2's side of one HTTP/2 connection.

#pragma once

#include "http2/abuse_budget.hpp"
#include "http2/early_ends.hpp"
#include "http2/frame_walker.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>

extern "C" {
struct nghttp2_session;
}

namespace kino::server {

class exchange;

/// An http2_session is the state of HTTP/2 on one connection: frames, header compression, streams and flow control, all
/// by nghttp2. It says what the client sends, and makes frames of what it is told; it moves no bytes itself.
///
/// Flow control of what is received: the whole connection's window opens again with every byte, that of a stream when
/// its body has been consumed. So a body that waits for its reader holds up no other.
///
/// Threads: one at a time.
/// Errors:  std::bad_alloc, and what the sink throws, from all that is not noexcept; the session can then do no more.
class http2_session {
public:
  /// What is done next with the body of a response.
  struct body_step {
    std::size_t length = 0;  ///< So many bytes go out now, with `write_data`; 0 and not `last`: none is there yet.
    bool last = false;       ///< ... and nothing follows but trailers.
    bool trailers = false;   ///< Trailers follow.
  };

  /// The protocol, as the session sees it.
  class sink {
  public:
    /// A request begins. Null: it is refused.
    [[nodiscard]] virtual exchange* begin_request(std::int32_t stream) = 0;
    /// A field of its header or trailers, pseudo-header fields first. Names are in lower case; both are valid.
    virtual void on_field(exchange& to, std::string_view name, std::string_view value) = 0;
    /// The header is complete; `end`: the request, too.
    virtual void on_header_end(exchange& to, bool end) = 0;
    /// Its header or trailers are malformed. The session resets the stream.
    virtual void on_malformed(exchange& of) = 0;
    virtual void on_body(exchange& to, std::string_view bytes) = 0;
    /// A frame of its body is complete. It was not empty.
    virtual void on_body_frame() noexcept = 0;
    /// The client resets the stream of `of`, which then ends.
    virtual void on_reset(exchange& of) = 0;
    /// The request is complete, after its body and trailers.
    virtual void on_request_end(exchange& to) = 0;
    /// The response is on its way out completely, whether or not the request is.
    virtual void on_response_end(exchange& to) = 0;
    /// The stream ends; the session forgets `of`. `error` is 0 if both sides are complete.
    virtual void on_stream_end(exchange& of, std::uint32_t error) = 0;
    /// `bytes`: so many came for nothing.
    virtual void on_nuisance(nuisance what, std::size_t bytes) = 0;
    /// The client sends a header on a stream that it has ended itself, or has passed over.
    virtual void on_stray_header() = 0;
    /// The client has answered a ping.
    virtual void on_pong() = 0;
    /// The client will begin no more requests.
    virtual void on_goaway() = 0;

    /// What is to be sent of a body, at most `room` bytes.
    [[nodiscard]] virtual body_step next_data(exchange& of, std::size_t room) = 0;
    /// Sends the head of a frame, and then `length` bytes of a body.
    virtual void write_data(exchange& of, std::string_view frame_head, std::size_t length) = 0;

  protected:
    ~sink() = default;
  };

  /// The limits that the client is told.
  struct settings {
    std::uint32_t concurrent_streams;
    std::uint32_t header_list_size;
    std::uint32_t stream_window;
    std::uint32_t connection_window;
    bool extended_connect;  ///< RFC 8441
  };

  /// A field of a header or of trailers.
  struct field {
    std::string_view name;
    std::string_view value;
  };

  http2_session(sink& to, settings const& told);
  http2_session(http2_session const&) = delete;
  ~http2_session();

  // --- what comes in ---

  /// Takes bytes from the client. Returns why the connection must end at once, or null. What else is wrong with them is
  /// said by what is left to send.
  [[nodiscard]] char const* receive(std::string_view bytes);
  /// The stream's window opens again for so many bytes.
  void consume(std::int32_t stream, std::size_t length);
  /// Sets the window of a stream to `size` bytes.
  void widen(std::int32_t stream, std::uint32_t size);

  // --- what goes out ---

  /// Begins the response; `body`: `next_data` is asked for what follows, otherwise nothing does.
  void respond(exchange& from, std::int32_t stream, std::span<field const> header, bool body);
  void interim(std::int32_t stream, std::span<field const> header);
  /// To be called from `next_data`, which has returned `trailers`.
  void trailers(std::int32_t stream, std::span<field const> fields);
  /// Whether the client lets no more of the stream's body through, whatever the connection's window is.
  [[nodiscard]] bool window_closed(std::int32_t stream) const;
  /// There is more of a body whose `next_data` had none.
  void resume(std::int32_t stream);
  /// Ends a stream at once, as an error of that code.
  void reset(std::int32_t stream, std::uint32_t error);
  /// Announces that no more requests will be taken soon, and asks for a pong: those that the client sends before have
  /// arrived then.
  void announce_end();
  /// Takes no more requests. The streams that are there go on.
  void end_requests();
  /// Ends the connection because of an error of that code.
  void terminate(std::uint32_t error);

  /// The next bytes to send, valid until the next call of anything; empty if there are none.
  [[nodiscard]] std::string_view next_output();
  [[nodiscard]] bool wants_input() const;
  [[nodiscard]] bool has_output() const;

private:
  struct callbacks;

  // A kind of frames is one of the types of RFC 9113, or one of these.
  static constexpr std::size_t unknown_type = 10;
  static constexpr std::size_t empty_data = 11;
  static constexpr std::size_t kinds = 12;

  // Frames of one kind that nghttp2 has been given, less those of which it has told.
  struct untold {
    int frames = 0;  // -1: it has told of one whose end has not come yet
    std::ptrdiff_t bytes = 0;
  };

  template <class Work>
  int guarded(Work work) noexcept;
  void check(int result);
  void rethrow();
  void count(std::uint8_t type, std::size_t length, int sign);
  void charge_ignored();
  void ended_early(std::int32_t stream);
  [[nodiscard]] std::string_view make_output();

  sink& sink_;
  nghttp2_session* session_ = nullptr;
  std::exception_ptr failed_;
  int own_resets_ = 0;  // that have not been sent
  std::int32_t last_stream_ = 0;  // that the client has begun
  std::int32_t reset_by_client_ = 0;
  frame_walker frames_;
  std::array<untold, kinds> untold_;  // by kind
  early_ends early_ends_;
  std::size_t const connection_window_;
  std::size_t on_their_way_ = 0;  // bytes of DATA that the client may have sent before it knew that their streams had ended
  bool terminated_ = false;
  std::string settings_;  // the first frame that is sent
  bool settings_sent_ = false;
};

/// Error codes of HTTP/2 (RFC 9113, 7).
namespace http2_error {
inline constexpr std::uint32_t none = 0;
inline constexpr std::uint32_t internal = 2;
inline constexpr std::uint32_t stream_closed = 5;
inline constexpr std::uint32_t refused_stream = 7;
inline constexpr std::uint32_t cancel = 8;
inline constexpr std::uint32_t enhance_your_calm = 11;
}  // namespace http2_error

}  // namespace kino::server
