// SPDX-License-Identifier: MIT
//
// What nghttp2 calls on behalf of an http2_session. Only for http2_session.cpp.

#pragma once

#include "http2/http2_session.hpp"

#include <nghttp2/nghttp2.h>

#include <memory>
#include <new>

namespace kino::server {

// Nothing may be thrown through nghttp2.
template <class Work>
int http2_session::guarded(Work work) noexcept {
  try {
    return work();
  } catch (...) {
    failed_ = std::current_exception();
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
}

// What nghttp2 calls, each with the session as its user data.
struct http2_session::callbacks {
  struct deleter {
    void operator()(nghttp2_session_callbacks* which) const { nghttp2_session_callbacks_del(which); }
  };

  static std::string_view text(nghttp2_rcbuf* from) {
    nghttp2_vec const bytes = nghttp2_rcbuf_get_buf(from);
    return {reinterpret_cast<char const*>(bytes.base), bytes.len};
  }
  static exchange* user_of(nghttp2_session* session, std::int32_t stream) {
    return static_cast<exchange*>(nghttp2_session_get_stream_user_data(session, stream));
  }
  static http2_session& self(void* user) { return *static_cast<http2_session*>(user); }

  // Calls `work` with the exchange of the stream, if there is one.
  template <class Work>
  static int with(void* user, nghttp2_session* session, std::int32_t stream, Work work) noexcept {
    exchange* const found = user_of(session, stream);
    if (!found) return 0;
    return self(user).guarded([&] {
      work(self(user).sink_, *found);
      return 0;
    });
  }
  static int tell(void* user, nuisance what, std::size_t bytes = 0) noexcept {
    return self(user).guarded([&] {
      self(user).sink_.on_nuisance(what, bytes);
      return 0;
    });
  }

  // nghttp2 ignores a header on a stream that has ended. It is an error if the client knows of that end.
  static int begin_frame(nghttp2_session* session, nghttp2_frame_hd const* head, void* user) {
    http2_session& me = self(user);
    std::int32_t const stream = head->stream_id;
    if (head->type != NGHTTP2_HEADERS || stream > me.last_stream_ || nghttp2_session_find_stream(session, stream) ||
        me.early_ends_.may_have(stream)) {
      return 0;
    }
    return me.guarded([&] {
      me.sink_.on_stray_header();
      return 0;
    });
  }

  static int begin_headers(nghttp2_session* session, nghttp2_frame const* frame, void* user) {
    self(user).count(NGHTTP2_HEADERS, frame->hd.length, -1);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return self(user).guarded([&] {
      std::int32_t const stream = self(user).last_stream_ = frame->hd.stream_id;
      exchange* const fresh = self(user).sink_.begin_request(stream);
      if (!fresh) {
        self(user).reset(stream, NGHTTP2_REFUSED_STREAM);
        return 0;
      }
      self(user).check(nghttp2_session_set_stream_user_data(session, stream, fresh));
      return 0;
    });
  }

  static int header(nghttp2_session* session, nghttp2_frame const* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                    std::uint8_t, void* user) {
    return with(user, session, frame->hd.stream_id,
                [&](sink& to, exchange& of) { to.on_field(of, text(name), text(value)); });
  }

  // Without this, nghttp2 ignores fields that are not valid.
  static int invalid_header(nghttp2_session*, nghttp2_frame const*, nghttp2_rcbuf*, nghttp2_rcbuf*, std::uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int invalid_frame(nghttp2_session* session, nghttp2_frame const* frame, int, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    return with(user, session, frame->hd.stream_id, [](sink& to, exchange& of) { to.on_malformed(of); });
  }

  static int data_received(nghttp2_session* session, nghttp2_frame_hd const& head, std::size_t padding, void* user) {
    bool const end = (head.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    std::size_t const useful = head.length - padding;
    if (useful != 0) self(user).sink_.on_body_frame();
    int const failed = useful == 0 && !end ? tell(user, nuisance::empty_data, padding)
                       : padding > useful  ? tell(user, nuisance::padded_data, padding - useful)
                                           : 0;
    if (failed != 0 || !end) return failed;
    return with(user, session, head.stream_id, [](sink& to, exchange& of) { to.on_request_end(of); });
  }

  static int frame_received(nghttp2_session* session, nghttp2_frame const* frame, void* user) {
    nghttp2_frame_hd const& head = frame->hd;
    bool const end = (head.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (head.type != NGHTTP2_HEADERS) self(user).count(head.type, head.length, -1);
    switch (head.type) {
      case NGHTTP2_HEADERS:
        return with(user, session, head.stream_id, [&](sink& to, exchange& of) {
          if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) to.on_header_end(of, end);
          if (end) to.on_request_end(of);
        });
      case NGHTTP2_DATA: return data_received(session, head, frame->data.padlen, user);
      case NGHTTP2_PING:
        return self(user).guarded([&] {
          self(user).sink_.on_nuisance(nuisance::ping, 0);
          if ((head.flags & NGHTTP2_FLAG_ACK) != 0) self(user).sink_.on_pong();
          return 0;
        });
      case NGHTTP2_GOAWAY:
        return self(user).guarded([&] {
          self(user).sink_.on_nuisance(nuisance::goaway, head.length);
          self(user).sink_.on_goaway();
          return 0;
        });
      case NGHTTP2_SETTINGS: return tell(user, nuisance::settings, head.length);
      case NGHTTP2_PRIORITY: return tell(user, nuisance::priority);
      case NGHTTP2_WINDOW_UPDATE: return tell(user, nuisance::window_update);
      case NGHTTP2_RST_STREAM:
        self(user).reset_by_client_ = head.stream_id;
        if (!user_of(session, head.stream_id)) return tell(user, nuisance::reset);
        return with(user, session, head.stream_id, [](sink& to, exchange& of) { to.on_reset(of); });
      default: return 0;
    }
  }

  static int data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t stream, std::uint8_t const* bytes,
                        std::size_t length, void* user) {
    if (int const failed = nghttp2_session_consume_connection(session, length); failed != 0) return failed;
    return with(user, session, stream, [&](sink& to, exchange& of) {
      to.on_body(of, {reinterpret_cast<char const*>(bytes), length});
    });
  }

  static int stream_closed(nghttp2_session* session, std::int32_t stream, std::uint32_t error, void* user) {
    bool const by_client = nghttp2_session_get_stream_remote_close(session, stream) == 1 || self(user).reset_by_client_ == stream;
    if (!by_client) self(user).ended_early(stream);
    return with(user, session, stream, [&](sink& to, exchange& of) { to.on_stream_end(of, error); });
  }

  static int frame_sent(nghttp2_session* session, nghttp2_frame const* frame, void* user) {
    switch (frame->hd.type) {
      case NGHTTP2_RST_STREAM:
        if (self(user).own_resets_ == 0) return tell(user, nuisance::provoked_reset);
        --self(user).own_resets_;
        return 0;
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
        return with(user, session, frame->hd.stream_id, [](sink& to, exchange& of) { to.on_response_end(of); });
      default: return 0;
    }
  }

  static int frame_not_sent(nghttp2_session* session, nghttp2_frame const* frame, int, void* user) {
    if (frame->hd.type == NGHTTP2_RST_STREAM && self(user).own_resets_ != 0) --self(user).own_resets_;
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    // It is too large, or its stream ends anyway.
    return with(user, session, frame->hd.stream_id,
                [&](sink&, exchange&) { self(user).reset(frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR); });
  }

  static ssize_t next_data(nghttp2_session* session, std::int32_t stream, std::uint8_t*, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    exchange* const of = user_of(session, stream);
    if (!of) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    body_step step;
    int const failed = self(user).guarded([&] {
      step = self(user).sink_.next_data(*of, room);
      return 0;
    });
    if (failed != 0) return failed;
    if (step.length == 0 && !step.last) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (step.last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (step.trailers) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return static_cast<ssize_t>(step.length);
  }

  static int send_data(nghttp2_session* session, nghttp2_frame* frame, std::uint8_t const* head, std::size_t length,
                       nghttp2_data_source*, void* user) {
    constexpr std::size_t head_size = 9;
    exchange* const of = user_of(session, frame->hd.stream_id);
    if (!of) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return self(user).guarded([&] {
      self(user).sink_.write_data(*of, {reinterpret_cast<char const*>(head), head_size}, length);
      return 0;
    });
  }

  // The same for all sessions.
  static nghttp2_session_callbacks const* all() {
    static std::unique_ptr<nghttp2_session_callbacks, deleter> const made = [] {
      nghttp2_session_callbacks* fresh = nullptr;
      if (nghttp2_session_callbacks_new(&fresh) != 0) throw std::bad_alloc();
      nghttp2_session_callbacks_set_on_begin_frame_callback(fresh, begin_frame);
      nghttp2_session_callbacks_set_on_begin_headers_callback(fresh, begin_headers);
      nghttp2_session_callbacks_set_on_header_callback2(fresh, header);
      nghttp2_session_callbacks_set_on_invalid_header_callback2(fresh, invalid_header);
      nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(fresh, invalid_frame);
      nghttp2_session_callbacks_set_on_frame_recv_callback(fresh, frame_received);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(fresh, data_chunk);
      nghttp2_session_callbacks_set_on_stream_close_callback(fresh, stream_closed);
      nghttp2_session_callbacks_set_on_frame_send_callback(fresh, frame_sent);
      nghttp2_session_callbacks_set_on_frame_not_send_callback(fresh, frame_not_sent);
      nghttp2_session_callbacks_set_send_data_callback(fresh, send_data);
      return std::unique_ptr<nghttp2_session_callbacks, deleter>(fresh);
    }();
    return made.get();
  }
};

}  // namespace kino::server
