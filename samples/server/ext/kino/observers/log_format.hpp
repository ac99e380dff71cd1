// SPDX-License-Identifier: MIT
//
// log_format: what a line of the access log contains.

#pragma once

#include "http/observer.hpp"
#include "observers/line_buffer.hpp"
#include "observers/log_field.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kino::server {

class log_values;

/// A log_format turns the report of an exchange into one line.
///
/// It is "common" or "combined" (the formats of Apache and nginx), "json", or a text with fields: "$status $target",
/// "${app_time}s", "$$" for a dollar sign. "json" may be followed by further fields: "json $http_x_forwarded_for". A field
/// `http_NAME` is a header field of the request.
///
/// A field that is unknown or was not reached is "-", in JSON null. A line has exactly one line feed, at its end, and
/// consists of printable ASCII characters: other bytes, quotation marks and backslashes in what a client has sent are
/// escaped, "\xHH" in text and as JSON has it. Values longer than `longest_value` are cut.
///
/// No line contains credentials: header fields that carry them are no fields of a format, and the values of secret
/// parameters of a URL are "[FILTERED]"; see secrets.hpp.
///
/// Threads: any, once constructed.
/// Errors:  the constructor throws std::invalid_argument with a sentence for the user; `append` std::bad_alloc.
class log_format {
public:
  static constexpr std::size_t longest_value = 4096;  // bytes, before escaping

  explicit log_format(std::string_view text, bool color = false);

  /// Appends the line of `report`, which is written at `now`.
  void append(line_buffer& line, exchange_report const& report, std::chrono::system_clock::time_point now) const;

private:
  // A text as it is, then a field.
  struct piece {
    std::string before;
    log_field what = log_field::none;
    std::string header = {};  // the name of a header field
    std::uint32_t hash = 0;   // of its folded form
  };

  void parse_text(std::string_view text);
  void parse_json(std::string_view further);
  void add(std::string before, std::string_view name);
  void append_field(log_values& out, piece const& next, exchange_report const& report,
                    std::chrono::system_clock::time_point now) const;

  std::vector<piece> pieces_;
  bool json_ = false;
  bool color_ = false;
};

}  // namespace kino::server
