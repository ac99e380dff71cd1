// SPDX-License-Identifier: MIT
//
// Reads HTTP/1.1 responses and compares each body byte for byte.

#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <strings.h>

namespace load {

/// A response_reader is fed the bytes of a socket and reports when a response is complete.
class response_reader {
public:
  enum class state { incomplete, complete, malformed };

  /// Bodies must equal `expected`, which must outlive the reader; null: any body.
  explicit response_reader(std::string const* expected) : expected_(expected) { restart(); }

  void restart() {
    head_.clear();
    phase_ = phase::head;
    left_ = 0;
    seen_ = 0;
    same_ = true;
    line_.clear();
  }

  /// Reads bytes of the current response. Requests are not pipelined, so bytes after the response
  /// make it malformed.
  [[nodiscard]] state feed(std::string_view bytes) {
    while (!bytes.empty()) {
      switch (phase_) {
        case phase::head:
          if (!read_head(bytes)) return state::malformed;
          break;
        case phase::counted: take_body(bytes); break;
        case phase::to_the_end:
          left_ = bytes.size();
          take_body(bytes);
          phase_ = phase::to_the_end;
          break;
        case phase::chunk_size:
        case phase::chunk_end:
        case phase::trailer:
          if (!read_line(bytes)) return state::malformed;
          break;
        case phase::chunk:
          take_body(bytes);
          break;
        case phase::done: return state::malformed;
      }
    }
    return phase_ == phase::done ? state::complete : state::incomplete;
  }

  /// Call when the peer has closed the connection; returns whether that ends the response.
  [[nodiscard]] bool ended_by_close() const { return phase_ == phase::to_the_end; }
  [[nodiscard]] bool begun() const { return phase_ != phase::head || !head_.empty(); }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool closes() const { return closes_; }
  [[nodiscard]] bool body_is_right() const {
    return !expected_ || (same_ && seen_ == expected_->size());
  }

private:
  enum class phase { head, counted, to_the_end, chunk_size, chunk, chunk_end, trailer, done };

  bool read_head(std::string_view& bytes) {
    std::size_t const before = head_.size();
    head_.append(bytes);
    std::size_t const end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end == std::string::npos) {
      bytes = {};
      return head_.size() < 65536;
    }
    bytes.remove_prefix(end + 4 - before);
    head_.resize(end + 2);
    return interpret();
  }

  bool interpret() {
    std::string_view rest = head_;
    if (rest.size() < 14 || !rest.starts_with("HTTP/1.")) return false;
    status_ = (rest[9] - '0') * 100 + (rest[10] - '0') * 10 + (rest[11] - '0');
    closes_ = rest[7] == '0';
    bool chunked = false, counted = false;
    rest.remove_prefix(rest.find("\r\n") + 2);
    while (!rest.empty()) {
      std::size_t const end = rest.find("\r\n");
      std::string_view const line = rest.substr(0, end);
      rest.remove_prefix(end + 2);
      std::size_t const colon = line.find(':');
      if (colon == std::string_view::npos) return false;
      std::string_view const name = line.substr(0, colon);
      std::string_view value = line.substr(colon + 1);
      while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
      if (is(name, "content-length")) {
        counted = std::from_chars(value.data(), value.data() + value.size(), left_).ec == std::errc{};
      } else if (is(name, "transfer-encoding")) {
        chunked = is(value, "chunked");
      } else if (is(name, "connection")) {
        if (is(value, "close")) closes_ = true;
        if (is(value, "keep-alive")) closes_ = false;
      }
    }
    phase_ = chunked ? phase::chunk_size : counted ? phase::counted : phase::to_the_end;
    if (phase_ == phase::to_the_end) closes_ = true;
    if (phase_ == phase::counted && left_ == 0) phase_ = phase::done;
    return true;
  }

  static bool is(std::string_view text, std::string_view name) {
    return text.size() == name.size() && strncasecmp(text.data(), name.data(), name.size()) == 0;
  }

  void take_body(std::string_view& bytes) {
    std::size_t const length = bytes.size() < left_ ? bytes.size() : static_cast<std::size_t>(left_);
    if (expected_ && same_) {
      same_ = seen_ + length <= expected_->size() &&
              std::memcmp(expected_->data() + seen_, bytes.data(), length) == 0;
    }
    seen_ += length;
    left_ -= length;
    bytes.remove_prefix(length);
    if (left_ == 0) phase_ = phase_ == phase::chunk ? phase::chunk_end : phase::done;
  }

  // The lines between the chunks, which may arrive in pieces.
  bool read_line(std::string_view& bytes) {
    std::size_t const end = bytes.find('\n');
    line_.append(bytes.substr(0, end == std::string_view::npos ? bytes.size() : end + 1));
    if (line_.size() > 1024) return false;
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (end == std::string_view::npos) return true;
    bool good = line_.ends_with("\r\n");
    switch (phase_) {
      case phase::chunk_size: {
        auto const size = std::from_chars(line_.data(), line_.data() + line_.size(), left_, 16);
        good = good && size.ec == std::errc{};
        phase_ = left_ == 0 ? phase::trailer : phase::chunk;
        break;
      }
      case phase::chunk_end:
        good = good && line_.size() == 2;
        phase_ = phase::chunk_size;
        break;
      default:
        if (line_.size() == 2) phase_ = phase::done;
    }
    line_.clear();
    return good;
  }

  std::string const* expected_;
  std::string head_;
  std::string line_;
  phase phase_ = phase::head;
  std::uint64_t left_ = 0;
  std::uint64_t seen_ = 0;
  int status_ = 0;
  bool closes_ = false;
  bool same_ = true;
};

}  // namespace load
