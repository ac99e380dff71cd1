// SPDX-License-Identifier: MIT

#include "http2/http2_session.hpp"

#include <nghttp2/nghttp2.h>

#include <array>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace kino::server {

namespace {

std::string_view text(nghttp2_rcbuf* from) {
  nghttp2_vec const bytes = nghttp2_rcbuf_get_buf(from);
  return {reinterpret_cast<char const*>(bytes.base), bytes.len};
}

exchange* user_of(nghttp2_session* session, std::int32_t stream) {
  return static_cast<exchange*>(nghttp2_session_get_stream_user_data(session, stream));
}

std::uint8_t* bytes_of(std::string_view from) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(from.data()));
}

std::vector<nghttp2_nv> block_of(std::span<http2_session::field const> fields) {
  std::vector<nghttp2_nv> all;
  all.reserve(fields.size());
  for (auto const& [name, value] : fields) {
    all.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return all;
}

struct option_deleter {
  void operator()(nghttp2_option* which) const { nghttp2_option_del(which); }
};
struct callbacks_deleter {
  void operator()(nghttp2_session_callbacks* which) const { nghttp2_session_callbacks_del(which); }
};

}  // namespace

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
  static int tell(void* user, nuisance what) noexcept {
    return self(user).guarded([&] {
      self(user).sink_.on_nuisance(what);
      return 0;
    });
  }

  static int begin_headers(nghttp2_session* session, nghttp2_frame const* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    return self(user).guarded([&] {
      std::int32_t const stream = frame->hd.stream_id;
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

  static int frame_received(nghttp2_session* session, nghttp2_frame const* frame, void* user) {
    bool const end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool const ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        return with(user, session, frame->hd.stream_id, [&](sink& to, exchange& of) {
          if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) to.on_header_end(of, end);
          if (end) to.on_request_end(of);
        });
      case NGHTTP2_DATA:
        if (frame->hd.length != frame->data.padlen) {
          self(user).sink_.on_body_frame();
        } else if (!end) {
          return tell(user, nuisance::empty_data);
        }
        if (!end) return 0;
        return with(user, session, frame->hd.stream_id, [](sink& to, exchange& of) { to.on_request_end(of); });
      case NGHTTP2_PING:
        if (!ack) return tell(user, nuisance::ping);
        return self(user).guarded([&] {
          self(user).sink_.on_pong();
          return 0;
        });
      case NGHTTP2_GOAWAY:
        return self(user).guarded([&] {
          self(user).sink_.on_goaway();
          return 0;
        });
      case NGHTTP2_SETTINGS: return ack ? 0 : tell(user, nuisance::settings);
      case NGHTTP2_PRIORITY: return tell(user, nuisance::priority);
      case NGHTTP2_WINDOW_UPDATE: return tell(user, nuisance::window_update);
      case NGHTTP2_RST_STREAM:
        if (!user_of(session, frame->hd.stream_id)) return tell(user, nuisance::reset);
        return with(user, session, frame->hd.stream_id, [](sink& to, exchange& of) { to.on_reset(of); });
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
    static std::unique_ptr<nghttp2_session_callbacks, callbacks_deleter> const made = [] {
      nghttp2_session_callbacks* fresh = nullptr;
      if (nghttp2_session_callbacks_new(&fresh) != 0) throw std::bad_alloc();
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
      return std::unique_ptr<nghttp2_session_callbacks, callbacks_deleter>(fresh);
    }();
    return made.get();
  }
};

http2_session::http2_session(sink& to, settings const& told) : sink_(to) {
  nghttp2_option* fresh = nullptr;
  if (nghttp2_option_new(&fresh) != 0) throw std::bad_alloc();
  std::unique_ptr<nghttp2_option, option_deleter> const options(fresh);
  nghttp2_option_set_no_auto_window_update(fresh, 1);
  nghttp2_option_set_no_closed_streams(fresh, 1);
  nghttp2_option_set_max_send_header_block_length(fresh, tuning::most_header_size);
#ifdef KINO_NGHTTP2_RESET_LIMIT
  // The sink counts resets, and knows which of them do harm.
  nghttp2_option_set_stream_reset_rate_limit(fresh, UINT64_MAX, UINT64_MAX);
#endif
  check(nghttp2_session_server_new2(&session_, callbacks::all(), this, fresh));
  std::array<nghttp2_settings_entry, 3> const all{{{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, told.concurrent_streams},
                                                  {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, told.header_list_size},
                                                  {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, told.stream_window}}};
  try {
    check(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, all.data(), all.size()));
    check(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                static_cast<std::int32_t>(told.connection_window)));
  } catch (...) {
    nghttp2_session_del(session_);
    throw;
  }
}

http2_session::~http2_session() { nghttp2_session_del(session_); }

// --- errors -------------------------------------------------------------------------

void http2_session::rethrow() {
  if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
}

// What nghttp2 refuses because a stream or the connection is ending needs no answer.
void http2_session::check(int result) {
  rethrow();
  if (result == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
}

// --- what comes in ------------------------------------------------------------------

bool http2_session::receive(std::string_view bytes) {
  ssize_t const taken = nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size());
  if (taken < 0) check(static_cast<int>(taken));
  return taken >= 0;
}

void http2_session::consume(std::int32_t stream, std::size_t length) {
  check(nghttp2_session_consume_stream(session_, stream, length));
}

void http2_session::widen(std::int32_t stream, std::uint32_t size) {
  check(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, stream, static_cast<std::int32_t>(size)));
}

// --- what goes out ------------------------------------------------------------------

void http2_session::respond(exchange& from, std::int32_t stream, std::span<field const> header, bool body) {
  nghttp2_data_provider source{};
  source.source.ptr = &from;
  source.read_callback = callbacks::next_data;
  auto const all = block_of(header);
  check(nghttp2_submit_response(session_, stream, all.data(), all.size(), body ? &source : nullptr));
}

void http2_session::interim(std::int32_t stream, std::span<field const> header) {
  auto const all = block_of(header);
  check(nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream, nullptr, all.data(), all.size(), nullptr));
}

void http2_session::trailers(std::int32_t stream, std::span<field const> fields) {
  auto const all = block_of(fields);
  check(nghttp2_submit_trailer(session_, stream, all.data(), all.size()));
}

void http2_session::resume(std::int32_t stream) { check(nghttp2_session_resume_data(session_, stream)); }

void http2_session::reset(std::int32_t stream, std::uint32_t error) {
  int const result = nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, error);
  check(result);
  own_resets_ += result == 0;
}

void http2_session::announce_end() {
  check(nghttp2_submit_shutdown_notice(session_));
  check(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr));
}

void http2_session::end_requests() {
  std::int32_t const last = nghttp2_session_get_last_proc_stream_id(session_);
  check(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0));
}

void http2_session::terminate(std::uint32_t error) { check(nghttp2_session_terminate_session(session_, error)); }

std::string_view http2_session::next_output() {
  std::uint8_t const* bytes = nullptr;
  ssize_t const length = nghttp2_session_mem_send(session_, &bytes);
  rethrow();
  if (length < 0) throw std::bad_alloc();  // nghttp2 has no other error here
  return {reinterpret_cast<char const*>(bytes), static_cast<std::size_t>(length)};
}

bool http2_session::wants_input() const { return nghttp2_session_want_read(session_) != 0; }
bool http2_session::has_output() const { return nghttp2_session_want_write(session_) != 0; }

}  // namespace kino::server
