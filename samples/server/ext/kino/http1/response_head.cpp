// SPDX-License-Identifier: MIT

#include "http1/response_head.hpp"

#include "http/field_list.hpp"
#include "http/grammar.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace kino::server {

namespace {

void append_number(byte_buffer& out, std::uint64_t number) {
  char* const room = out.prepare(20);
  out.commit(std::to_chars(room, room + 20, number).ptr - room);
}

}  // namespace

response_head::problem response_head::status(long code) {
  if (code < 100 || code > 999) return problem::bad_status;
  status_ = status_of(static_cast<std::uint16_t>(code));
  if (status_.content == content_rule::interim) return problem::interim_status;
  out_->append("HTTP/1.1 ");
  append_number(*out_, status_.code);
  out_->append(' ');
  out_->append(status_.reason);
  out_->append("\r\n");
  return problem::none;
}

response_head::problem response_head::header(std::string_view name, std::string_view value) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), grammar::in_token)) {
    return problem::bad_name;
  }
  if (!grammar::all_in_value(value)) return problem::bad_value;
  switch (name.size()) {
    case 4: has_date_ |= equal_ignoring_case(name, "date"); break;
    case 6: has_server_ |= equal_ignoring_case(name, "server"); break;
    case 7:
      // Says what could be upgraded to, as 426 must; it belongs to the connection.
      has_upgrade_ |= equal_ignoring_case(name, "upgrade");
      if (equal_ignoring_case(name, "trailer")) return problem::none;
      break;
    case 10:
      if (equal_ignoring_case(name, "connection")) {
        for_each_element(value, [this](std::string_view option) {
          wants_close_ |= equal_ignoring_case(option, "close");
        });
        return problem::none;
      }
      if (equal_ignoring_case(name, "keep-alive")) return problem::none;
      break;
    case 14: {
      if (!equal_ignoring_case(name, "content-length")) break;
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
    case 16:
      if (equal_ignoring_case(name, "proxy-connection")) return problem::none;
      break;
    case 17:
      if (equal_ignoring_case(name, "transfer-encoding")) return problem::none;
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
  finish_framing(end);
  finish_connection(end);
  out_->append("\r\n");
}

void response_head::finish_framing(ending const& end) {
  std::optional<std::uint64_t> length;
  switch (status_.content) {
    case content_rule::interim:
    case content_rule::none: return;
    case content_rule::zero: length = 0; break;
    case content_rule::described: length = content_length(); break;
    case content_rule::usual:
      if (end.how == framing::chunked) {
        out_->append("transfer-encoding: chunked\r\n");
      } else if (end.how == framing::length) {
        length = end.length;
      } else if (end.how == framing::none) {
        length = content_length();  // as GET would be answered
      }
  }
  if (!length) return;
  out_->append("content-length: ");
  append_number(*out_, *length);
  out_->append("\r\n");
}

void response_head::finish_connection(ending const& end) {
  std::string_view const stay = !end.keep_alive ? "close" : end.http_1_0 ? "keep-alive" : "";
  if (stay.empty() && !has_upgrade_) return;
  out_->append("connection: ");
  out_->append(stay);
  if (has_upgrade_) out_->append(stay.empty() ? "upgrade" : ", upgrade");
  out_->append("\r\n");
}

framing response_head::frame(bool head_only, bool length_known, bool http_1_0) const {
  if (head_only || bodiless()) return framing::none;
  if (length_known) return framing::length;
  return http_1_0 ? framing::closing : framing::chunked;
}

void response_head::brief(byte_buffer& out, int code, bool head_only) {
  response_head head(out);
  static_cast<void>(head.status(code));
  std::string_view const reason = head.status_.reason;
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
