// SPDX-License-Identifier: MIT
//
// A client of HTTP/2 for tests, without a socket.

#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http2_test {

using fields = std::vector<std::pair<std::string, std::string>>;

/// What a client has seen of one stream.
struct stream {
  int status = 0;
  std::vector<int> interim;
  fields header;
  fields trailers;
  std::string body;
  bool ended = false;  ///< The response is complete.
  bool closed = false;
  std::uint32_t error = 0;  ///< with which it was closed

  [[nodiscard]] std::string value(std::string_view name) const {
    for (auto const& [key, text] : header) {
      if (key == name) return text;
    }
    return {};
  }
};

/// A client makes frames of requests and reads those of responses; the test moves the bytes.
///
/// Threads: one.
class client {
public:
  /// `window`: of each stream, and of the connection; without `reads`, no window ever opens again.
  explicit client(std::uint32_t window = 65535, bool reads = true) : reads_(reads) {
    nghttp2_session_callbacks* callbacks = nullptr;
    require(nghttp2_session_callbacks_new(&callbacks));
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option* options = nullptr;
    require(nghttp2_option_new(&options));
    nghttp2_option_set_no_auto_window_update(options, 1);
    require(nghttp2_session_client_new2(&session_, callbacks, this, options));
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry const told{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
    require(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &told, 1));
    if (window > 65535) {
      require(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(window)));
    }
  }
  client(client const&) = delete;
  ~client() { nghttp2_session_del(session_); }

  /// Begins a request; returns its stream. `has_body`: `send_body` and `end_body` follow.
  std::int32_t request(std::string const& method, std::string const& path, fields more = {}, bool has_body = false) {
    fields all{{":method", method}, {":scheme", "http"}, {":authority", "test.example"}, {":path", path}};
    all.insert(all.end(), more.begin(), more.end());
    return raw_request(all, has_body);
  }
  std::int32_t raw_request(fields const& all, bool has_body) {
    auto const block = block_of(all);
    nghttp2_data_provider source{};
    source.read_callback = next_data;
    std::int32_t const made =
        nghttp2_submit_request(session_, nullptr, block.data(), block.size(), has_body ? &source : nullptr, nullptr);
    require(made);
    streams_[made];
    if (has_body) bodies_[made];
    return made;
  }
  void send_body(std::int32_t of, std::string_view bytes) {
    bodies_[of].bytes += bytes;
    nghttp2_session_resume_data(session_, of);
  }
  void end_body(std::int32_t of, fields trailers = {}) {
    bodies_[of].ended = true;
    bodies_[of].trailers = std::move(trailers);
    nghttp2_session_resume_data(session_, of);
  }
  void reset(std::int32_t which, std::uint32_t error = NGHTTP2_CANCEL) {
    require(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, which, error));
  }
  void ping() { require(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr)); }
  /// Opens a window by so many bytes more; 0: that of the connection.
  void open_window(std::int32_t of, std::int32_t bytes) {
    require(nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, of, bytes));
  }
  void settings() { require(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0)); }

  /// The next bytes for the server; empty if there are none.
  std::string output() {
    std::string all;
    std::uint8_t const* bytes = nullptr;
    while (all.size() < 65536) {
      ssize_t const length = nghttp2_session_mem_send(session_, &bytes);
      require(length);
      if (length == 0) break;
      all.append(reinterpret_cast<char const*>(bytes), static_cast<std::size_t>(length));
    }
    return all;
  }
  /// Takes bytes of the server. False if they are not HTTP/2.
  bool input(std::string_view bytes) {
    return nghttp2_session_mem_recv(session_, reinterpret_cast<std::uint8_t const*>(bytes.data()), bytes.size()) >= 0;
  }

  [[nodiscard]] stream& at(std::int32_t which) { return streams_.at(which); }
  [[nodiscard]] bool has(std::int32_t which) const { return streams_.count(which) != 0; }
  [[nodiscard]] std::uint32_t concurrent_streams() const {
    return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  }
  /// The GOAWAY frames that came: the last stream and the error of each.
  [[nodiscard]] std::vector<std::pair<std::int32_t, std::uint32_t>> const& goaways() const { return goaways_; }
  [[nodiscard]] int pongs() const { return pongs_; }

private:
  struct outgoing {
    std::string bytes;
    bool ended = false;
    fields trailers;
  };

  static void require(ssize_t result) {
    if (result < 0) throw std::runtime_error(nghttp2_strerror(static_cast<int>(result)));
  }
  static client& self(void* user) { return *static_cast<client*>(user); }
  static std::string text(std::uint8_t const* bytes, std::size_t length) {
    return {reinterpret_cast<char const*>(bytes), length};
  }
  static std::vector<nghttp2_nv> block_of(fields const& all) {
    std::vector<nghttp2_nv> made;
    auto const bytes = [](std::string const& from) { return reinterpret_cast<std::uint8_t*>(const_cast<char*>(from.data())); };
    for (auto const& [name, value] : all) {
      made.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
    }
    return made;
  }

  static int on_header(nghttp2_session*, nghttp2_frame const* frame, std::uint8_t const* name, std::size_t name_length,
                       std::uint8_t const* value, std::size_t value_length, std::uint8_t, void* user) {
    stream& of = self(user).streams_[frame->hd.stream_id];
    std::string const key = text(name, name_length);
    std::string const what = text(value, value_length);
    if (key == ":status") {
      if (of.status >= 100 && of.status < 200) of.interim.push_back(of.status);
      of.status = std::stoi(what);
    }
    (of.status >= 200 && frame->headers.cat == NGHTTP2_HCAT_HEADERS && key != ":status" && !of.header.empty() ? of.trailers : of.header)
        .emplace_back(key, what);
    return 0;
  }
  static int on_frame(nghttp2_session*, nghttp2_frame const* frame, void* user) {
    client& me = self(user);
    if (frame->hd.type == NGHTTP2_GOAWAY) me.goaways_.emplace_back(frame->goaway.last_stream_id, frame->goaway.error_code);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++me.pongs_;
    bool const content = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (content && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) me.streams_[frame->hd.stream_id].ended = true;
    return 0;
  }
  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t of, std::uint8_t const* bytes, std::size_t length,
                     void* user) {
    self(user).streams_[of].body += text(bytes, length);
    if (self(user).reads_) nghttp2_session_consume(session, of, length);
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t of, std::uint32_t error, void* user) {
    self(user).streams_[of].closed = true;
    self(user).streams_[of].error = error;
    return 0;
  }
  static ssize_t next_data(nghttp2_session* session, std::int32_t of, std::uint8_t* into, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    outgoing& from = self(user).bodies_[of];
    std::size_t const length = std::min(room, from.bytes.size());
    if (length == 0 && !from.ended) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(into, from.bytes.data(), length);
    from.bytes.erase(0, length);
    if (from.ended && from.bytes.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!from.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        auto const block = block_of(from.trailers);
        require(nghttp2_submit_trailer(session, of, block.data(), block.size()));
      }
    }
    return static_cast<ssize_t>(length);
  }

  bool const reads_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, stream> streams_;
  std::map<std::int32_t, outgoing> bodies_;
  std::vector<std::pair<std::int32_t, std::uint32_t>> goaways_;
  int pongs_ = 0;
};

}  // namespace http2_test
