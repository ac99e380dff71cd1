// SPDX-License-Identifier: MIT

#include "http1/http_parser.hpp"

#include "http1/request_framing.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

namespace kino::server {

namespace {
constexpr rejection no_memory{503, "not enough memory for the request"};
}

// llhttp's callbacks, as static members so that they may see the parser's inside.
struct http_parser_callbacks {
  static http_parser& self(llhttp_t* parser) {
    return *static_cast<http_parser*>(parser->data);
  }

  // No exception may pass through llhttp, which is C.
  template <class Work>
  static int guarded(llhttp_t* parser, Work work) noexcept {
    http_parser& me = self(parser);
    try {
      return work(me);
    } catch (std::exception const&) {
      return me.refuse(no_memory);
    }
  }
  // Trailers come through the same callbacks as the fields of the head. They stay apart: merged into the head they
  // could replace what was decided upon.
  template <class Work>
  static int in_section(llhttp_t* parser, Work work) noexcept {
    return guarded(parser, [&](http_parser& me) {
      work(me.phase_ == http_parser::phase::fields ? me.request_->fields() : me.request_->trailers());
      return HPE_OK;
    });
  }

  static int on_name(llhttp_t* parser, char const* at, std::size_t length) {
    return in_section(parser, [&](field_section& to) { to.append_name({at, length}); });
  }
  static int on_name_end(llhttp_t* parser) {
    return in_section(parser, [](field_section& to) { to.end_name(); });
  }
  static int on_value(llhttp_t* parser, char const* at, std::size_t length) {
    return in_section(parser, [&](field_section& to) { to.append_value({at, length}); });
  }
  static int on_value_end(llhttp_t* parser) {
    return in_section(parser, [](field_section& to) { to.end_value(); });
  }
  static int on_headers_complete(llhttp_t* parser) {
    return guarded(parser, [](http_parser& me) { return me.on_headers_complete(); });
  }
  static int on_body(llhttp_t* parser, char const* at, std::size_t length) {
    return guarded(parser, [&](http_parser& me) {
      me.chunk_body_ += length;
      return me.refuse(me.events_.on_body({at, length}));
    });
  }
  static int on_chunk_header(llhttp_t* parser) {
    return self(parser).on_chunk_header();
  }
  static int on_message_complete(llhttp_t* parser) {
    return guarded(parser, [](http_parser& me) { return me.on_message_complete(); });
  }

  static llhttp_settings_t const* settings() {
    static llhttp_settings_t const shared = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_header_field = on_name;
      s.on_header_field_complete = on_name_end;
      s.on_header_value = on_value;
      s.on_header_value_complete = on_value_end;
      s.on_headers_complete = on_headers_complete;
      s.on_body = on_body;
      s.on_chunk_header = on_chunk_header;
      s.on_message_complete = on_message_complete;
      return s;
    }();
    return &shared;
  }
};

namespace {

// A parser behind a request line, to be copied: llhttp's state is a plain struct, and between
// two lines it has no pointers into what it has read. POST has no meaning of its own to llhttp.
llhttp_t const& behind_line() {
  static llhttp_t const shared = [] {
    static llhttp_settings_t const silent = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      return s;
    }();
    static constexpr std::string_view line = "POST / HTTP/1.1\r\n";
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &silent);
    llhttp_execute(&parser, line.data(), line.size());
    // Transfer-Encoding is checked here as the list that it is, and more strictly.
    llhttp_set_lenient_transfer_encoding(&parser, 1);
    return parser;
  }();
  return shared;
}

}  // namespace

http_parser::http_parser(sink& events, limits const& limit) : events_(events), limit_(limit) {}

void http_parser::start(request& fresh) {
  request_ = &fresh;
  line_.start();
  lines_.start();
  head_bytes_ = 0;
  chunk_bytes_ = chunks_ = chunk_body_ = announced_ = 0;
  phase_ = phase::line;
  complete_ = trailers_due_ = false;
  why_ = {};
}

int http_parser::refuse(rejection const& why) {
  if (!why) return HPE_OK;
  why_ = why;
  llhttp_set_error_reason(&parser_, why.reason);
  return HPE_USER;
}

int http_parser::on_headers_complete() {
  // Neither an upgrade nor a tunnel changes the protocol here; llhttp would stop parsing.
  parser_.upgrade = 0;
  if (int const bad = refuse(request_->finish())) return bad;
  if (int const bad = refuse(determine_framing(*request_))) return bad;
  // What the request says of its body is decided once. llhttp sees chunked in fewer spellings.
  if (request_->unknown_length) parser_.flags |= F_CHUNKED | F_TRANSFER_ENCODING;
  phase_ = phase::chunks;
  if (int const bad = refuse(events_.on_head())) return bad;
  body_left_ = request_->content_length.value_or(0);
  if (request_->unknown_length) return HPE_PAUSED;  // so that the bytes behind are counted as chunks
  if (body_left_ == 0) return HPE_OK;
  phase_ = phase::counted_body;
  return HPE_PAUSED;  // for good: there is nothing to parse in the rest
}

int http_parser::on_message_complete() {
  if (phase_ == phase::trailers) {
    if (int const bad = refuse(request_->finish_trailers())) return bad;
  }
  complete_ = true;
  return HPE_PAUSED;
}

int http_parser::on_chunk_header() {
  ++chunks_;
  std::uint64_t const size = parser_.content_length;
  if (size == 0) {
    trailers_due_ = true;
    return HPE_PAUSED;
  }
  if (size > limit_.max_body_size - announced_) {
    std::uint64_t const seen = announced_ + std::min(size, UINT64_MAX - announced_);
    return refuse({413, "a chunk makes the body larger than max_body_size", limit_.max_body_size, seen});
  }
  announced_ += size;
  return HPE_OK;
}

// Takes bytes up to the end of the request line; returns how many. Sets why_ if they are no request line.
std::size_t http_parser::take_line(std::string_view bytes) {
  auto const read = line_.read(bytes, *request_);
  head_bytes_ += read.taken;
  if (head_too_large()) return read.taken;
  why_ = read.complete ? request_line_reader::finish(*request_) : read.why;
  if (read.complete && !why_) begin_fields();
  return read.taken;
}

void http_parser::begin_fields() {
  // A copy per request keeps no state of the previous one, in any version of llhttp.
  parser_ = behind_line();
  parser_.settings = const_cast<llhttp_settings_t*>(http_parser_callbacks::settings());
  parser_.data = this;
  phase_ = phase::fields;
}

bool http_parser::head_too_large() {
  if (head_bytes_ <= limit_.max_header_size) return false;
  bool const in_target = phase_ == phase::line && request_->text().find(' ') != std::string_view::npos;
  why_ = in_target
             ? rejection{414, "the request line is longer than max_header_size"}
             : rejection{431, "the request headers are larger than max_header_size"};
  why_.limit = limit_.max_header_size;
  why_.value = head_bytes_;
  return true;
}

// Returns false, with why_ set, if the lines in front are not those of sound fields.
bool http_parser::guard(std::string_view bytes) {
  auto const seen = lines_.scan(bytes);
  head_bytes_ += seen.length;
  if (seen.what == head_validator::verdict::bare_line_feed) {
    why_ = {400, "a line ends in a bare line feed"};
    return false;
  }
  if (seen.what == head_validator::verdict::folded) {
    why_ = {400, "a header is folded over two lines"};
    return false;
  }
  if (lines_.fields() > limit_.max_header_fields) {
    why_ = {431, "there are more header fields than max_header_fields", limit_.max_header_fields,
            lines_.fields()};
    return false;
  }
  return !head_too_large();
}

// Counts what is not body of `taken` bytes.
bool http_parser::chunks_too_large(std::size_t taken) {
  chunk_bytes_ += taken - std::exchange(chunk_body_, 0);
  std::uint64_t const needed = 20 * chunks_;
  if (chunk_bytes_ <= needed + limit_.max_header_size) return false;
  why_ = {400, "sizes and extensions of chunks beyond max_header_size", limit_.max_header_size,
          chunk_bytes_ - needed};
  return true;
}

http_parser::result http_parser::count_body(std::string_view bytes, std::size_t consumed) {
  std::string_view const mine = bytes.substr(consumed, body_left_);
  if (mine.empty()) return {state::incomplete, consumed};
  if (refuse(events_.on_body(mine))) return {state::rejected, consumed};
  consumed += mine.size();
  return {skip_body(mine.size()) ? state::complete : state::incomplete, consumed};
}

http_parser::result http_parser::parse(std::string_view bytes) {
  std::size_t consumed = 0;
  if (phase_ == phase::counted_body) return count_body(bytes, 0);
  if (phase_ == phase::line) {
    try {
      consumed = take_line(bytes);
    } catch (std::bad_alloc const&) {
      why_ = no_memory;
    }
    if (why_) return {state::rejected, consumed};
    if (consumed == bytes.size()) return {state::incomplete, consumed};
  }
  if (phase_ != phase::chunks && !guard(bytes.substr(consumed))) {
    return {state::rejected, consumed};
  }
  for (;;) {
    std::string_view const rest = bytes.substr(consumed);
    bool const in_chunks = phase_ == phase::chunks;
    llhttp_errno_t const error = llhttp_execute(&parser_, rest.data(), rest.size());
    if (error != HPE_OK && error != HPE_PAUSED) {
      if (!why_) why_ = {400, llhttp_get_error_reason(&parser_)};
      return {state::rejected, consumed};
    }
    std::size_t const taken =
        error == HPE_OK ? rest.size() : llhttp_get_error_pos(&parser_) - rest.data();
    consumed += taken;
    if (in_chunks && chunks_too_large(taken)) return {state::rejected, consumed};
    if (error == HPE_OK) return {state::incomplete, consumed};
    if (complete_) return {state::complete, consumed};
    if (phase_ == phase::counted_body) return count_body(bytes, consumed);
    llhttp_resume(&parser_);
    if (trailers_due_) {
      trailers_due_ = false;
      phase_ = phase::trailers;
      lines_.start();
      if (!guard(bytes.substr(consumed))) return {state::rejected, consumed};
    }
  }
}

}  // namespace kino::server
