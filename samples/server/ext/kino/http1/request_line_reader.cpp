// SPDX-License-Identifier: MIT

#include "http1/request_line_reader.hpp"

#include "http/grammar.hpp"
#include "http1/request_line.hpp"

#include <utility>

namespace kino::server {

namespace {
constexpr std::string_view proxy_signature("\0\r\nQUIT\n", 8);
}

request_line_reader::result request_line_reader::read(std::string_view bytes, request& into) {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    std::string_view const rest = bytes.substr(taken);
    if (length_ == 0 && !carriage_return_ && rest.front() != '\r' && rest.front() != '\n' &&
        !grammar::in_token(rest.front())) {
      // The PROXY protocol, version 2, begins with two empty lines.
      if (rest.starts_with(proxy_signature)) return {taken, false, unexpected_proxy_header};
      return {taken, false, {400, "the request does not begin with a method"}};
    }
    std::size_t const feed = rest.find('\n');
    bool const whole = feed != rest.npos;
    std::string_view line = rest.substr(0, feed);
    taken += line.size() + whole;
    if (!line.empty()) {
      if (std::exchange(carriage_return_, false)) {
        into.append_text("\r");
        ++length_;
      }
      carriage_return_ = line.back() == '\r';
      line.remove_suffix(carriage_return_);
      into.append_text(line);
      length_ += line.size();
    }
    if (!whole) break;
    if (!std::exchange(carriage_return_, false)) return {taken, false, {400, "a line ends in a bare line feed"}};
    if (length_ != 0) return {taken, true, {}};
  }
  return {taken, false, {}};
}

rejection request_line_reader::finish(request& into) {
  request_line line;
  rejection const bad = request_line::parse(into.text(), line);
  into.set_method(line.method);
  if (bad) return bad;
  into.version = line.version;
  into.set_target(line.target);
  return {};
}

}  // namespace kino::server
