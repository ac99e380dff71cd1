// SPDX-License-Identifier: MIT

#include "response_head.hpp"

#include "characters.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace kino::server {

namespace {

std::string_view reason_of(long code) {
  switch (code) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 418: return "I'm a teapot";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    case 511: return "Network Authentication Required";
    default: return {};
  }
}

bool same(std::string_view name, std::string_view lower) {
  return name.size() == lower.size() &&
         std::equal(name.begin(), name.end(), lower.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

bool lists(std::string_view value, std::string_view option) {
  while (!value.empty()) {
    std::size_t const comma = std::min(value.find(','), value.size());
    std::string_view item = value.substr(0, comma);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
    if (same(item, option)) return true;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return false;
}

void append_number(byte_buffer& out, std::uint64_t number) {
  char* const room = out.prepare(20);
  out.commit(std::to_chars(room, room + 20, number).ptr - room);
}

}  // namespace

response_head::problem response_head::status(long code) {
  if (code < 100 || code > 999) return problem::bad_status;
  code_ = code;
  out_->append("HTTP/1.1 ");
  append_number(*out_, static_cast<std::uint64_t>(code));
  out_->append(' ');
  out_->append(reason_of(code));
  out_->append("\r\n");
  return problem::none;
}

response_head::problem response_head::header(std::string_view name, std::string_view value) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), characters::in_token)) {
    return problem::bad_name;
  }
  if (!characters::all_in_value(value)) return problem::bad_value;
  switch (name.size()) {
    case 4: has_date_ |= same(name, "date"); break;
    case 6: has_server_ |= same(name, "server"); break;
    case 10:
      if (!same(name, "connection")) break;
      wants_close_ |= lists(value, "close");
      return problem::none;
    case 14: {
      if (!same(name, "content-length")) break;
      std::uint64_t number = 0;
      auto const [stop, error] =
          std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || stop != value.data() + value.size() ||
          (has_length_ && number != length_)) {
        return problem::bad_length;
      }
      has_length_ = true;
      length_ = number;
      return problem::none;
    }
    case 17:
      if (same(name, "transfer-encoding")) return problem::none;
      break;
    default: break;
  }
  char* const room = out_->prepare(name.size() + value.size() + 4);
  char* at = std::copy(name.begin(), name.end(), room);
  *at++ = ':';
  *at++ = ' ';
  at = std::copy(value.begin(), value.end(), at);
  *at++ = '\r';
  *at++ = '\n';
  out_->commit(at - room);
  return problem::none;
}

void response_head::finish(ending const& end) {
  if (!has_server_) out_->append("server: kino\r\n");
  if (!has_date_) {
    out_->append("date: ");
    out_->append(http_date());
    out_->append("\r\n");
  }
  if (end.how == framing::chunked) {
    out_->append("transfer-encoding: chunked\r\n");
  } else if (end.how == framing::length || (end.how == framing::none && has_length_ &&
                                            code_ != 204 && code_ >= 200)) {
    // An answer to HEAD, and 304, may say how long the body would be; 1xx and 204 must not.
    out_->append("content-length: ");
    append_number(*out_, end.how == framing::length ? end.length : length_);
    out_->append("\r\n");
  }
  if (!end.keep_alive) {
    out_->append("connection: close\r\n");
  } else if (end.http_1_0) {
    out_->append("connection: keep-alive\r\n");
  }
  out_->append("\r\n");
}

void response_head::brief(byte_buffer& out, int code, bool head_only) {
  response_head head(out);
  std::string_view const reason = reason_of(code);
  static_cast<void>(head.status(code));
  static_cast<void>(head.header("content-type", "text/plain"));
  if (code == 503) static_cast<void>(head.header("retry-after", "1"));
  head.finish({framing::length, reason.size() + 1, false, false});
  if (head_only) return;
  out.append(reason);
  out.append('\n');
}

// Not inlined: a thread-local's address must not be kept across a call into Ruby, after which
// a Ractor may be on another native thread.
[[gnu::noinline]] std::string_view http_date() noexcept {
  static constexpr char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static thread_local std::time_t second = -1;
  static thread_local char text[64];
  timespec now{};
#ifdef CLOCK_REALTIME_COARSE
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
#else
  ::clock_gettime(CLOCK_REALTIME, &now);
#endif
  if (now.tv_sec != second) {
    std::tm t{};
    ::gmtime_r(&now.tv_sec, &t);
    // By hand: strftime speaks the process's language.
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday],
                  t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    second = now.tv_sec;
  }
  return {text, 29};
}

}  // namespace kino::server
