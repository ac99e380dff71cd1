// SPDX-License-Identifier: MIT

#include "observers/log_field.hpp"

#include <algorithm>
#include <iterator>

namespace kino::server {

namespace {

struct named_field {
  std::string_view name;
  log_field what;
};

constexpr named_field fields[] = {
    {"time", log_field::time},
    {"time_local", log_field::time_local},
    {"remote_addr", log_field::remote_addr},
    {"remote_port", log_field::remote_port},
    {"remote_user", log_field::remote_user},
    {"request", log_field::request},
    {"method", log_field::method},
    {"target", log_field::target},
    {"path", log_field::path},
    {"query", log_field::query},
    {"protocol", log_field::protocol},
    {"scheme", log_field::scheme},
    {"host", log_field::host},
    {"tls_client", log_field::tls_client},
    {"status", log_field::status},
    {"end", log_field::end},
    {"request_bytes", log_field::request_bytes},
    {"response_bytes", log_field::response_bytes},
    {"receive_time", log_field::receive_time},
    {"queue_time", log_field::queue_time},
    {"app_time", log_field::app_time},
    {"first_byte_time", log_field::first_byte_time},
    {"total_time", log_field::total_time},
    {"request_id", log_field::request_id},
    {"referer", log_field::header},
    {"user_agent", log_field::user_agent},
};

// nginx's names for some of them.
constexpr named_field synonyms[] = {
    {"request_method", log_field::method},
    {"request_uri", log_field::target},
    {"uri", log_field::path},
    {"args", log_field::query},
    {"server_protocol", log_field::protocol},
    {"body_bytes_sent", log_field::response_bytes},
    {"request_time", log_field::total_time},
    {"http_user_agent", log_field::user_agent},
};

template <class Table>
log_field find(Table const& table, std::string_view name) {
  auto const* const found = std::find_if(std::begin(table), std::end(table), [name](auto const& each) { return each.name == name; });
  return found == std::end(table) ? log_field::none : found->what;
}

}  // namespace

log_field find_log_field(std::string_view name) noexcept {
  if (log_field const found = find(fields, name); found != log_field::none) return found;
  if (log_field const found = find(synonyms, name); found != log_field::none) return found;
  return name.starts_with("http_") && name.size() > 5 ? log_field::header : log_field::none;
}

std::string_view header_of(std::string_view name) noexcept {
  switch (find_log_field(name)) {
    case log_field::user_agent: return "user-agent";
    case log_field::request_id: return "x-request-id";
    case log_field::header: return name.starts_with("http_") ? name.substr(5) : name;
    default: return {};
  }
}

std::string log_field_names() {
  std::string all;
  for (auto const& each : fields) all += "$" + std::string(each.name) + " ";
  return all + "and $http_NAME for a header field";
}

}  // namespace kino::server
