// SPDX-License-Identifier: MIT

#include "http_parser.hpp"

#include <exception>

namespace kino::server {

// llhttp's callbacks, as static members so that they may see the parser's inside.
struct http_parser_callbacks {
  static http_parser& self(llhttp_t* parser) { return *static_cast<http_parser*>(parser->data); }

  // No exception may pass through llhttp, which is C.
  template <class Work>
  static int guarded(llhttp_t* parser, Work work) noexcept {
    http_parser& me = self(parser);
    try {
      return work(me);
    } catch (std::exception const&) {
      return me.refuse({503, "there is no memory for the request"});
    }
  }
  template <class Work>
  static int in_head(llhttp_t* parser, Work work) noexcept {
    return guarded(parser, [&](http_parser& me) {
      if (me.phase_ == http_parser::phase::head) work(*me.request_);
      return HPE_OK;
    });
  }

  static int on_url(llhttp_t* parser, char const* at, std::size_t length) {
    return in_head(parser, [&](request& r) { r.append_target({at, length}); });
  }
  // Trailers come through the same callbacks as headers. They are checked and dropped: merged
  // into the head they could replace what was decided upon.
  static int on_name(llhttp_t* parser, char const* at, std::size_t length) {
    return in_head(parser, [&](request& r) { r.append_name({at, length}); });
  }
  static int on_name_end(llhttp_t* parser) {
    return in_head(parser, [](request& r) { r.end_name(); });
  }
  static int on_value(llhttp_t* parser, char const* at, std::size_t length) {
    return in_head(parser, [&](request& r) { r.append_value({at, length}); });
  }
  static int on_value_end(llhttp_t* parser) {
    return in_head(parser, [](request& r) { r.end_value(); });
  }
  static int on_headers_complete(llhttp_t* parser) {
    return guarded(parser, [](http_parser& me) { return me.on_headers_complete(); });
  }
  static int on_body(llhttp_t* parser, char const* at, std::size_t length) {
    return guarded(parser,
                   [&](http_parser& me) { return me.refuse(me.events_.on_body({at, length})); });
  }
  static int on_extension(llhttp_t* parser, char const*, std::size_t length) {
    http_parser& me = self(parser);
    me.extension_bytes_ += length;
    if (me.extension_bytes_ <= me.max_header_size_) return HPE_OK;
    return me.refuse({400, "chunk extensions beyond max_header_size", me.max_header_size_,
                      me.extension_bytes_});
  }
  static int on_chunk_header(llhttp_t* parser) {
    if (parser->content_length != 0) return HPE_OK;
    self(parser).trailers_due_ = true;
    return HPE_PAUSED;
  }
  static int on_message_complete(llhttp_t* parser) {
    self(parser).complete_ = true;
    return HPE_PAUSED;
  }

  static llhttp_settings_t const* settings() {
    static llhttp_settings_t const shared = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_url = on_url;
      s.on_header_field = on_name;
      s.on_header_field_complete = on_name_end;
      s.on_header_value = on_value;
      s.on_header_value_complete = on_value_end;
      s.on_headers_complete = on_headers_complete;
      s.on_body = on_body;
      s.on_chunk_extension_name = on_extension;
      s.on_chunk_extension_value = on_extension;
      s.on_chunk_header = on_chunk_header;
      s.on_message_complete = on_message_complete;
      return s;
    }();
    return &shared;
  }
};

http_parser::http_parser(sink& events, std::size_t max_header_size)
    : events_(events), max_header_size_(max_header_size) {}

void http_parser::start(request& fresh) {
  request_ = &fresh;
  // A fresh start per request leaves nothing of the one before, whatever llhttp's version.
  llhttp_init(&parser_, HTTP_REQUEST, http_parser_callbacks::settings());
  parser_.data = this;
  lines_.start_head();
  head_bytes_ = extension_bytes_ = 0;
  phase_ = phase::head;
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
  unsigned const major = llhttp_get_http_major(&parser_);
  unsigned const minor = llhttp_get_http_minor(&parser_);
  if (major != 1 || minor > 1) return refuse({505, "only HTTP/1.0 and HTTP/1.1 are spoken"});
  if (parser_.method == HTTP_CONNECT) return refuse({501, "CONNECT is not offered"});
  request_->method = llhttp_method_name(static_cast<llhttp_method_t>(parser_.method));
  request_->minor_version = minor;
  request_->keep_alive = llhttp_should_keep_alive(&parser_) != 0;
  if (int const bad = refuse(request_->finish())) return bad;
  phase_ = phase::body;
  if (int const bad = refuse(events_.on_head())) return bad;
  body_left_ = request_->content_length.value_or(0);
  if (request_->chunked || body_left_ == 0) return HPE_OK;
  phase_ = phase::counted_body;
  return HPE_PAUSED;  // for good: there is nothing to parse in the rest
}

// Returns false, with why_ set, if the lines in front are not those of a sound head.
bool http_parser::guard(std::string_view bytes) {
  auto const seen = lines_.scan(bytes);
  head_bytes_ += seen.length;
  switch (seen.what) {
    case line_guard::verdict::bare_line_feed:
      why_ = {400, "a line ends in a bare line feed"};
      return false;
    case line_guard::verdict::folded:
      why_ = {400, "a header is folded over two lines"};
      return false;
    case line_guard::verdict::spaced:
      why_ = {400, "the request line is not three words with one space between"};
      return false;
    case line_guard::verdict::not_http:
      why_ = {400, "the request line does not end in a version of HTTP"};
      return false;
    default: break;
  }
  if (head_bytes_ > max_header_size_) {
    why_ = {431, "the head is larger than max_header_size", max_header_size_, head_bytes_};
    return false;
  }
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
  if (phase_ != phase::body && !guard(bytes)) return {state::rejected, 0};
  for (;;) {
    std::string_view const rest = bytes.substr(consumed);
    llhttp_errno_t const error = llhttp_execute(&parser_, rest.data(), rest.size());
    if (error == HPE_OK) return {state::incomplete, bytes.size()};
    if (error != HPE_PAUSED) {
      if (!why_) why_ = {400, llhttp_get_error_reason(&parser_)};
      return {state::rejected, consumed};
    }
    consumed += llhttp_get_error_pos(&parser_) - rest.data();
    if (complete_) return {state::complete, consumed};
    if (phase_ == phase::counted_body) return count_body(bytes, consumed);
    llhttp_resume(&parser_);
    if (trailers_due_) {
      trailers_due_ = false;
      phase_ = phase::trailers;
      lines_.start_trailers();
      if (!guard(bytes.substr(consumed))) return {state::rejected, consumed};
    }
  }
}

}  // namespace kino::server
