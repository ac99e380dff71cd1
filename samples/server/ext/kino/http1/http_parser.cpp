// SPDX-License-Identifier: MIT

#include "http1/http_parser.hpp"

#include "http1/request_framing.hpp"

#include <algorithm>
#include <exception>

namespace kino::server {

namespace {
constexpr rejection no_memory{503, "not enough memory for the request"};
}

// llhttp's callbacks, as static members so that they may see the parser's inside.
struct http_parser_callbacks {
  static http_parser& self(llhttp_t* parser) {
    return *static_cast<http_parser*>(parser->data);
  }

  // Trailers come through the same callbacks as the fields of the head. They stay apart: merged into the head they
  // could replace what was decided upon. No exception may pass through llhttp, which is C.
  template <class Work>
  static int in_section(llhttp_t* parser, Work work) noexcept {
    http_parser& me = self(parser);
    try {
      work(me.phase_ == http_parser::phase::fields ? me.request_->fields() : me.request_->trailers());
      return HPE_OK;
    } catch (std::exception const&) {
      return refuse(parser, no_memory);
    }
  }
  static int refuse(llhttp_t* parser, rejection const& why) {
    self(parser).refuse(why);
    llhttp_set_error_reason(parser, why.reason);
    return HPE_USER;
  }

  static int on_name(llhttp_t* parser, char const* at, std::size_t length) {
    return in_section(parser, [&](field_section& to) { to.append_name({at, length}); });
  }
  static int on_name_end(llhttp_t* parser) {
    parser->header_state = 0;  // No field has a meaning to llhttp, which would parse its value.
    return in_section(parser, [](field_section& to) { to.end_name(); });
  }
  static int on_value(llhttp_t* parser, char const* at, std::size_t length) {
    return in_section(parser, [&](field_section& to) { to.append_value({at, length}); });
  }
  static int on_value_end(llhttp_t* parser) {
    return in_section(parser, [](field_section& to) { to.end_value(); });
  }
  static int on_fields_end(llhttp_t* parser) {
    self(parser).fields_ended_ = true;
    return HPE_PAUSED;  // for good: llhttp sees no body
  }

  static llhttp_settings_t const* settings() {
    static llhttp_settings_t const shared = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_header_field = on_name;
      s.on_header_field_complete = on_name_end;
      s.on_header_value = on_value;
      s.on_header_value_complete = on_value_end;
      s.on_headers_complete = on_fields_end;
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
    return parser;
  }();
  return shared;
}

}  // namespace

http_parser::http_parser(sink& events, limits const& limit) : events_(events), limit_(limit) {}

void http_parser::start(request& fresh) {
  request_ = &fresh;
  line_.start();
  head_bytes_ = 0;
  chunk_bytes_ = chunks_ = announced_ = 0;
  phase_ = phase::line;
  why_ = {};
}

// Takes bytes up to the end of the request line; returns how many. Sets why_ if they are no request line.
std::size_t http_parser::take_line(std::string_view bytes) {
  auto const read = line_.read(bytes, *request_);
  head_bytes_ += read.taken;
  if (head_too_large()) return read.taken;
  why_ = read.complete ? request_line_reader::finish(*request_) : read.why;
  if (read.complete && !why_) start_fields(phase::fields);
  return read.taken;
}

bool http_parser::head_too_large() {
  if (head_bytes_ <= limit_.max_header_size) return false;
  if (phase_ != phase::line || request_->text().empty()) {
    why_ = {431, "the request headers are larger than max_header_size"};
  } else if (request_->text().substr(0, limit_.max_header_size).find(' ') !=
             std::string_view::npos) {
    why_ = {414, "the request line is longer than max_header_size"};
  } else {  // RFC 9112, 3
    why_ = {501, "the method is longer than max_header_size"};
  }
  why_.limit = limit_.max_header_size;
  why_.value = head_bytes_;
  return true;
}

void http_parser::start_fields(phase of_head_or_body) {
  // A copy per request keeps no state of the previous one, in any version of llhttp.
  parser_ = behind_line();
  parser_.settings = const_cast<llhttp_settings_t*>(http_parser_callbacks::settings());
  parser_.data = this;
  lines_.start();
  fields_ended_ = false;
  phase_ = of_head_or_body;
}

// Takes fields up to the empty line that ends them; returns how many bytes. llhttp sees only lines
// that have been checked.
std::size_t http_parser::take_fields(std::string_view bytes) {
  auto const seen = lines_.scan(bytes);
  head_bytes_ += seen.length;
  if (!fields_allowed(seen.what)) return seen.length;
  llhttp_errno_t const error = llhttp_execute(&parser_, bytes.data(), seen.length);
  bool const finished = seen.what == head_validator::verdict::finished;
  if (why_) return seen.length;
  if ((error != HPE_OK && error != HPE_PAUSED) || finished != fields_ended_) {
    char const* const reason = llhttp_get_error_reason(&parser_);
    refuse({400, reason ? reason : "the fields have no end that is sure"});
  } else if (finished && phase_ == phase::fields) {
    end_head();
  } else if (finished) {
    why_ = request_->finish_trailers();
    phase_ = phase::done;
  }
  return seen.length;
}

// Returns false, with why_ set, if the fields exceed a limit or their lines are not sound.
bool http_parser::fields_allowed(head_validator::verdict what) {
  if (what == head_validator::verdict::bare_line_feed) {
    refuse({400, "a line ends in a bare line feed"});
  } else if (what == head_validator::verdict::folded) {
    refuse({400, "a header is folded over two lines"});
  } else if (lines_.fields() > limit_.max_header_fields) {
    refuse({431, "there are more header fields than max_header_fields",
            limit_.max_header_fields, lines_.fields()});
  } else {
    return !head_too_large();
  }
  return false;
}

void http_parser::end_head() {
  if ((why_ = request_->finish()) || (why_ = determine_framing(*request_)) ||
      (why_ = events_.on_head()))
    return;
  body_left_ = request_->content_length.value_or(0);
  if (request_->unknown_length) {
    chunk_.start();
    phase_ = phase::chunk_line;
  } else {
    phase_ = body_left_ == 0 ? phase::done : phase::counted_body;
  }
}

// Takes some of `left` bytes of the body.
std::size_t http_parser::take_body(std::string_view bytes, std::uint64_t& left, phase next) {
  std::string_view const mine = bytes.substr(0, left);
  if ((why_ = events_.on_body(mine))) return 0;
  if ((left -= mine.size()) == 0) phase_ = next;
  return mine.size();
}

// Takes bytes of the phase at hand; returns how many.
std::size_t http_parser::take(std::string_view bytes) {
  switch (phase_) {
    case phase::line: return take_line(bytes);
    case phase::fields:
    case phase::trailers: return take_fields(bytes);
    case phase::counted_body: return take_body(bytes, body_left_, phase::done);
    case phase::chunk_line: return take_chunk_line(bytes);
    case phase::chunk_data: return take_body(bytes, chunk_left_, phase::chunk_end);
    case phase::chunk_end: return take_chunk_end(bytes);
    case phase::done: break;
  }
  return 0;
}

http_parser::result http_parser::parse(std::string_view bytes) {
  std::size_t consumed = 0;
  try {
    while (consumed < bytes.size() && phase_ != phase::done && !why_) {
      consumed += take(bytes.substr(consumed));
    }
  } catch (std::exception const&) {
    refuse(no_memory);
  }
  if (why_) return {state::rejected, consumed};
  return {phase_ == phase::done ? state::complete : state::incomplete, consumed};
}

}  // namespace kino::server
