// SPDX-License-Identifier: MIT

#include "http2/http2_session.hpp"

#include "http2/http2_callbacks.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace kino::server {

namespace {

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

// nghttp2 ends the connection of a client that begins more streams than it has been told, although only the stream has to
// end (RFC 9113, 5.1.2), and the sink sees to that. So nghttp2 does not know this limit: the client gets a SETTINGS frame
// that has it in addition to what is in `made`.
std::string with_limit(std::string_view made, std::uint32_t concurrent_streams) {
  constexpr std::size_t length_at = 2;  // its last byte: there are few settings
  nghttp2_settings_entry const limit{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, concurrent_streams};
  std::array<std::uint8_t, 6> bytes;
  ssize_t const length = nghttp2_pack_settings_payload(bytes.data(), bytes.size(), &limit, 1);
  std::string frame(made);
  frame.append(reinterpret_cast<char const*>(bytes.data()), static_cast<std::size_t>(length));
  frame[length_at] = static_cast<char>(frame[length_at] + length);
  return frame;
}

struct option_deleter {
  void operator()(nghttp2_option* which) const { nghttp2_option_del(which); }
};

}  // namespace

http2_session::http2_session(sink& to, settings const& told) : sink_(to), connection_window_(told.connection_window) {
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
  std::array<nghttp2_settings_entry, 3> const all{{{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, told.header_list_size},
                                                  {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, told.stream_window},
                                                  {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}}};
  try {
    check(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, all.data(), told.extended_connect ? all.size() : 2));
    settings_ = with_limit(make_output(), told.concurrent_streams);
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

char const* http2_session::receive(std::string_view bytes) {
  if (terminated_) return nullptr;
  frames_.walk(bytes, [this](frame_walker::head const& head) { count(head.type, head.length, +1); });
  ssize_t const taken = nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size());
  if (taken < 0) {
    check(static_cast<int>(taken));
    return taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? "the client has agreed on HTTP/2 and does not begin with its preface"
                                                 : "the client of an HTTP/2 connection does not read what it asks for";
  }
  charge_ignored();
  return nullptr;
}

void http2_session::count(std::uint8_t type, std::size_t length, int sign) {
  untold& one = untold_[type == NGHTTP2_DATA && length == 0 ? empty_data : std::min<std::size_t>(type, unknown_type)];
  one.frames += sign;
  one.bytes += sign * static_cast<std::ptrdiff_t>(length);
}

// nghttp2 tells of the frames that it takes. It ignores those of unknown types, and most of what comes on streams that have
// ended, are being reset or will not be served.
void http2_session::charge_ignored() {
  constexpr std::array<nuisance, kinds> costs{
      nuisance::stray_data, nuisance::late_header, nuisance::priority, nuisance::reset, nuisance::settings, nuisance::unknown,
      nuisance::ping, nuisance::goaway, nuisance::window_update, nuisance::continuation, nuisance::unknown, nuisance::stray_data};
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    if (untold_[kind].frames <= 0) continue;
    untold const ignored = std::exchange(untold_[kind], {});
    auto bytes = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, ignored.bytes));
    if (kind == NGHTTP2_CONTINUATION) bytes = 0;  // a header's; nghttp2 tells of that
    if (kind == NGHTTP2_DATA) {
      std::size_t const expected = std::min(bytes, on_their_way_);
      on_their_way_ -= expected;
      bytes -= expected;
      if (bytes == 0) continue;
    }
    for (int i = 0; i < ignored.frames && !terminated_; ++i) sink_.on_nuisance(costs[kind], std::exchange(bytes, 0));
  }
}

// What the stream's window admits may be on its way, and the rest of a frame; for all streams together what the connection's
// window does.
void http2_session::ended_early(std::int32_t stream) {
  constexpr std::size_t largest_frame = 16'384;
  if (early_ends_.remembers(stream)) return;
  early_ends_.add(stream);
  auto const window = std::max(0, nghttp2_session_get_stream_local_window_size(session_, stream));
  on_their_way_ = std::min(connection_window_, on_their_way_ + static_cast<std::size_t>(window) + largest_frame);
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

bool http2_session::window_closed(std::int32_t stream) const {
  return nghttp2_session_get_stream_remote_window_size(session_, stream) <= 0;
}

void http2_session::resume(std::int32_t stream) { check(nghttp2_session_resume_data(session_, stream)); }

void http2_session::reset(std::int32_t stream, std::uint32_t error) {
  int const result = nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, error);
  check(result);
  if (result != 0) return;
  ++own_resets_;
  if (nghttp2_session_get_stream_remote_close(session_, stream) == 0) ended_early(stream);
}

void http2_session::announce_end() {
  check(nghttp2_submit_shutdown_notice(session_));
  check(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr));
}

void http2_session::end_requests() {
  std::int32_t const last = nghttp2_session_get_last_proc_stream_id(session_);
  on_their_way_ = connection_window_;  // on streams that will not be served
  check(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0));
}

void http2_session::terminate(std::uint32_t error) {
  terminated_ = true;
  check(nghttp2_session_terminate_session(session_, error));
}

std::string_view http2_session::next_output() {
  return std::exchange(settings_sent_, true) ? make_output() : settings_;
}

std::string_view http2_session::make_output() {
  std::uint8_t const* bytes = nullptr;
  ssize_t const length = nghttp2_session_mem_send(session_, &bytes);
  rethrow();
  if (length < 0) throw std::bad_alloc();  // nghttp2 has no other error here
  return {reinterpret_cast<char const*>(bytes), static_cast<std::size_t>(length)};
}

bool http2_session::wants_input() const { return nghttp2_session_want_read(session_) != 0; }
bool http2_session::has_output() const { return !settings_sent_ || nghttp2_session_want_write(session_) != 0; }

}  // namespace kino::server
