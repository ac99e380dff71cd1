// SPDX-License-Identifier: MIT
//
// The line that a log_format makes of a report.

#include "http/exchange.hpp"
#include "http/field_name.hpp"
#include "observers/log_format.hpp"
#include "observers/log_text.hpp"
#include "observers/secrets.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kino::server {

namespace {

std::string_view text_of(exchange_end how) {
  switch (how) {
    case exchange_end::complete: return "complete";
    case exchange_end::disconnected: return "disconnected";
    case exchange_end::cut: return "cut";
    case exchange_end::expired: return "expired";
    case exchange_end::abandoned: return "abandoned";
    case exchange_end::refused: return "refused";
  }
  return {};
}

std::string_view text_of(http_version version) {
  switch (version) {
    case http_version::http_1_0: return "HTTP/1.0";
    case http_version::http_1_1: return "HTTP/1.1";
    case http_version::http_2: return "HTTP/2.0";
  }
  return {};
}

std::string_view color_of(int status) {
  if (status >= 500) return "\x1b[31m";
  if (status >= 400) return "\x1b[33m";
  return status >= 300 ? "\x1b[36m" : "\x1b[32m";
}

// A request id that others may rely on: of common characters, and not long.
bool is_request_id(std::string_view text) {
  return text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("-_.:+/=").find(c) != std::string_view::npos;
  });
}

// The status as nginx has it if the connection ended before a response began.
int status_of(exchange_report const& report) { return report.status == 0 ? 499 : report.status; }

}  // namespace

// Appends values in the style of a format.
class log_values {
public:
  log_values(line_buffer& line, bool in_json) : line_(line), json_(in_json) {}

  void absent() { line_ += json_ ? std::string_view("null") : std::string_view("-"); }
  void number(std::uint64_t n) { append_number(line_, n); }
  // The time between two points; absent unless both were reached.
  void seconds(clock::time_point from, clock::time_point to) {
    if (from == clock::time_point{} || to == clock::time_point{}) return absent();
    append_seconds(line_, to - from);
  }
  // Text of the format itself.
  void bare(std::string_view bytes) { line_ += bytes; }
  // A value of the server's own: plain, as all its bytes are known.
  void own(std::string_view bytes) {
    quote();
    line_ += bytes;
    quote();
  }
  template <class Append>
  void time(Append append, std::chrono::system_clock::time_point at) {
    quote();
    append(line_, at);
    quote();
  }
  void text(std::string_view bytes) {
    if (bytes.empty()) return absent();
    begin();
    part(bytes);
    end();
  }
  void url(std::string_view bytes) {
    if (bytes.empty()) return absent();
    begin();
    url_part(bytes);
    end();
  }

  // A value in several parts.
  void begin() {
    quote();
    left_ = log_format::longest_value;
  }
  void part(std::string_view bytes) {
    std::string_view const shown = bytes.substr(0, left_);
    left_ -= shown.size();
    if (json_) {
      append_json_escaped(line_, shown);
    } else {
      append_escaped(line_, shown);
    }
    cut_ |= shown.size() < bytes.size();
  }
  void url_part(std::string_view bytes) {
    for_each_public_url_part(bytes, [this](std::string_view shown) { part(shown); });
  }
  void end() {
    if (cut_) line_ += "...";
    quote();
    cut_ = false;
  }

private:
  void quote() {
    if (json_) line_ += '"';
  }

  line_buffer& line_;
  bool const json_;
  std::size_t left_ = 0;
  bool cut_ = false;
};

namespace {

using field_position = std::vector<field_section::field>::const_iterator;

// The first field from `from` on that has this name.
field_position find_field(field_section const& fields, field_position from, std::string_view name, std::uint32_t hash) {
  return std::find_if(from, fields.all().end(), [&](field_section::field const& each) {
    return each.hash == hash && folded_name(fields.name(each)) == folded_name(name);
  });
}

// The first value of a header field.
std::string_view value_of(request const& head, std::string_view name, std::uint32_t hash) {
  field_section const& fields = head.fields();
  auto const first = find_field(fields, fields.all().begin(), name, hash);
  return first == fields.all().end() ? std::string_view() : fields.value(*first);
}

void append_header(log_values& out, request const& head, std::string_view name, std::uint32_t hash) {
  field_section const& fields = head.fields();
  auto next = find_field(fields, fields.all().begin(), name, hash);
  if (next == fields.all().end()) return out.absent();
  out.begin();
  out.url_part(fields.value(*next));
  while ((next = find_field(fields, next + 1, name, hash)) != fields.all().end()) {
    out.part(", ");
    out.url_part(fields.value(*next));
  }
  out.end();
}

void append_query(log_values& out, request const& head) {
  if (head.query().empty()) return out.absent();
  out.begin();
  for_each_public_parameter_part(head.query(), [&out](std::string_view shown) { out.part(shown); });
  out.end();
}

void append_request(log_values& out, request const& head) {
  if (head.method().empty()) return out.absent();
  out.begin();
  out.part(head.method());
  out.part(" ");
  out.url_part(head.target());
  out.part(" ");
  out.part(text_of(head.version));
  out.end();
}

}  // namespace

void log_format::append(line_buffer& line, exchange_report const& report, std::chrono::system_clock::time_point now) const {
  log_values out(line, json_);
  for (piece const& next : pieces_) {
    out.bare(next.before);
    append_field(out, next, report, now);
  }
  out.bare("\n");
}

void log_format::append_field(log_values& out, piece const& next, exchange_report const& report,
                              std::chrono::system_clock::time_point now) const {
  request const& head = report.subject.head();
  // A request that no worker took has waited until its response began, or its end.
  auto const answered = [&report] { return report.answered == clock::time_point{} ? report.ended : report.answered; };
  switch (next.what) {
    case log_field::none: return;
    case log_field::app_time: return out.seconds(report.taken, answered());
    case log_field::end: return out.own(text_of(report.how));
    case log_field::first_byte_time: return out.seconds(report.started, report.answered);
    case log_field::header: return append_header(out, head, next.header, next.hash);
    case log_field::host: return out.text(head.host());
    case log_field::method: return out.text(head.method());
    case log_field::path: return out.text(head.path());
    case log_field::protocol: return out.own(text_of(head.version));
    case log_field::query: return append_query(out, head);
    case log_field::queue_time:
      return out.seconds(report.ready, report.taken == clock::time_point{} ? answered() : report.taken);
    case log_field::receive_time: return out.seconds(report.started, report.ready);
    case log_field::remote_addr: return out.text(report.subject.client().address);
    case log_field::remote_port: {
      std::string const& port = report.subject.client().port;
      return port.empty() ? out.absent() : out.bare(port);
    }
    case log_field::remote_user: return out.absent();
    case log_field::request: return append_request(out, head);
    case log_field::request_bytes: return out.number(report.request_bytes);
    case log_field::request_id: {
      std::string_view const id = value_of(head, next.header, next.hash);
      return out.text(is_request_id(id) ? id : std::string_view());
    }
    case log_field::response_bytes: return out.number(report.response_bytes);
    case log_field::scheme: return out.own(report.subject.secure() ? "https" : "http");
    case log_field::status: {
      bool const tinted = color_ && !json_;
      if (tinted) out.bare(color_of(status_of(report)));
      out.number(static_cast<std::uint64_t>(status_of(report)));
      if (tinted) out.bare("\x1b[0m");
      return;
    }
    case log_field::target: return out.url(head.target());
    case log_field::time: return out.time(append_utc_time, now);
    case log_field::time_local: return out.time(append_local_time, now);
    case log_field::tls_client: {
      auto const& certificate = report.subject.peer().certificate;
      return out.text(certificate ? std::string_view(certificate->subject) : std::string_view());
    }
    case log_field::total_time: return out.seconds(report.started, report.ended);
    case log_field::user_agent: return out.text(value_of(head, next.header, next.hash));
  }
}

}  // namespace kino::server
