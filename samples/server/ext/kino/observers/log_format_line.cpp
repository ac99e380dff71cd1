// SPDX-License-Identifier: MIT
//
// The line that a log_format makes of a report.

#include "http/exchange.hpp"
#include "http/field_name.hpp"
#include "observers/log_format.hpp"
#include "observers/log_text.hpp"
#include "observers/secrets.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

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

// Appends values in the style of a format.
class values {
public:
  values(line_buffer& line, bool in_json) : line_(line), json_(in_json) {}

  void absent() { line_ += json_ ? "null" : "-"; }
  void number(std::uint64_t n) { append_number(line_, n); }
  // The time between two points; absent unless both were reached.
  void seconds(clock::time_point from, clock::time_point to) {
    if (from == clock::time_point{} || to == clock::time_point{}) return absent();
    append_seconds(line_, to - from);
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
    if (json_) line_ += '"';
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
    if (json_) line_ += '"';
    cut_ = false;
  }

private:
  line_buffer& line_;
  bool const json_;
  std::size_t left_ = 0;
  bool cut_ = false;
};

// Calls `each(value)` for the values of a header field.
template <class Each>
void for_each_value(request const& head, std::string_view name, std::uint32_t hash, Each each) {
  field_section const& fields = head.fields();
  for (auto const& field : fields.all()) {
    if (field.hash == hash && folded_name(fields.name(field)) == folded_name(name)) each(fields.value(field));
  }
}

// The first value of a header field.
std::string_view value_of(request const& head, std::string_view name, std::uint32_t hash) {
  std::optional<std::string_view> found;
  for_each_value(head, name, hash, [&found](std::string_view value) {
    if (!found) found = value;
  });
  return found.value_or(std::string_view());
}

void append_header(values& out, request const& head, std::string_view name, std::uint32_t hash) {
  bool any = false;
  for_each_value(head, name, hash, [&](std::string_view value) {
    if (any) {
      out.part(", ");
    } else {
      out.begin();
    }
    any = true;
    out.url_part(value);
  });
  if (any) {
    out.end();
  } else {
    out.absent();
  }
}

void append_query(values& out, request const& head) {
  if (head.query().empty()) return out.absent();
  out.begin();
  for_each_public_parameter_part(head.query(), [&out](std::string_view shown) { out.part(shown); });
  out.end();
}

void append_request(values& out, request const& head) {
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
  for (piece const& next : pieces_) {
    line += next.before;
    append_field(line, next, report, now);
  }
  line += '\n';
}

void log_format::append_field(line_buffer& line, piece const& next, exchange_report const& report,
                              std::chrono::system_clock::time_point now) const {
  values out(line, json_);
  request const& head = report.subject.head();
  // A request that no worker took has waited until its response began, or its end.
  clock::time_point const answered = report.answered == clock::time_point{} ? report.ended : report.answered;
  switch (next.what) {
    case log_field::none: return;
    case log_field::app_time: return out.seconds(report.taken, answered);
    case log_field::end: return out.text(text_of(report.how));
    case log_field::first_byte_time: return out.seconds(report.started, report.answered);
    case log_field::header: return append_header(out, head, next.header, next.hash);
    case log_field::host: return out.text(head.host());
    case log_field::method: return out.text(head.method());
    case log_field::path: return out.text(head.path());
    case log_field::protocol: return out.text(text_of(head.version));
    case log_field::query: return append_query(out, head);
    case log_field::queue_time:
      return out.seconds(report.ready, report.taken == clock::time_point{} ? answered : report.taken);
    case log_field::receive_time: return out.seconds(report.started, report.ready);
    case log_field::remote_addr: return out.text(report.subject.client().address);
    case log_field::remote_port: {
      std::string const& port = report.subject.client().port;
      if (port.empty()) return out.absent();
      line += port;
      return;
    }
    case log_field::remote_user: return out.absent();
    case log_field::request: return append_request(out, head);
    case log_field::request_bytes: return out.number(report.request_bytes);
    case log_field::request_id: {
      std::string_view const id = value_of(head, next.header, next.hash);
      return out.text(is_request_id(id) ? id : std::string_view());
    }
    case log_field::response_bytes: return out.number(report.response_bytes);
    case log_field::scheme: return out.text(report.subject.secure() ? "https" : "http");
    case log_field::status: {
      bool const tinted = color_ && !json_;
      if (tinted) line += color_of(status_of(report));
      out.number(static_cast<std::uint64_t>(status_of(report)));
      if (tinted) line += "\x1b[0m";
      return;
    }
    case log_field::target: return out.url(head.target());
    case log_field::time:
      if (json_) line += '"';
      append_utc_time(line, now);
      if (json_) line += '"';
      return;
    case log_field::time_local:
      if (json_) line += '"';
      append_local_time(line, now);
      if (json_) line += '"';
      return;
    case log_field::tls_client: {
      auto const& certificate = report.subject.peer().certificate;
      return out.text(certificate ? std::string_view(certificate->subject) : std::string_view());
    }
    case log_field::total_time: return out.seconds(report.started, report.ended);
    case log_field::user_agent: return out.text(value_of(head, next.header, next.hash));
  }
}

}  // namespace kino::server
