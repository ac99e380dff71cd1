// SPDX-License-Identifier: MIT
//
// Which offer of permessage-deflate the server accepts (RFC 7692, 5 and 7.1).

#include "websocket/compression.hpp"

#include "http/field_list.hpp"
#include "http/grammar.hpp"

#include <algorithm>

namespace kino::server {

namespace {

// Takes a value of Sec-WebSocket-Extensions apart (RFC 6455, 9.1).
class extension_scanner {
public:
  explicit extension_scanner(std::string_view rest) : rest_(trimmed(rest)) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  // Takes this character, if it is the next one, and the blanks around it.
  bool take(char wanted) {
    rest_ = trimmed(rest_);
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_ = trimmed(rest_.substr(1));
    return true;
  }
  // Empty: there is none.
  std::string_view take_token() {
    auto const end = std::find_if_not(rest_.begin(), rest_.end(), grammar::in_token);
    std::string_view const token = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(token.size());
    return token;
  }
  // A token, which may be in quotes.
  std::string_view take_value() {
    if (rest_.empty() || rest_.front() != '"') return take_token();
    rest_.remove_prefix(1);
    std::string_view const token = take_token();
    if (token.empty() || rest_.empty() || rest_.front() != '"') return {};
    rest_.remove_prefix(1);
    return token;
  }

private:
  std::string_view rest_;
};

// Of a window's size, 8 to 15; 0: it is none.
int window_bits(std::string_view value) {
  if (value.size() == 1 && (value[0] == '8' || value[0] == '9')) return value[0] - '0';
  if (value.size() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5') return 10 + value[1] - '0';
  return 0;
}

// The parameters of an offer, each at most once.
class offer {
public:
  void add(std::string_view name, std::optional<std::string_view> value) {
    if (name == "server_no_context_takeover") {
      note(server_no_context_takeover_, !value);
    } else if (name == "client_no_context_takeover") {
      note(client_no_context_takeover_, !value);
    } else if (name == "server_max_window_bits") {
      server_bits_ = value ? window_bits(*value) : 0;
      note(server_max_window_bits_, server_bits_ > 8);
    } else if (name == "client_max_window_bits") {
      // Of any size: the server has room for the largest.
      note(client_max_window_bits_, !value || window_bits(*value) != 0);
    } else {
      valid_ = false;
    }
  }

  [[nodiscard]] std::optional<compression_terms> terms() const {
    if (!valid_) return {};
    // Whether the client has asked for it or not: RFC 7692, 7.1.1, allows both parameters in any response.
    if (!server_max_window_bits_ || server_bits_ == 15) {
      return compression_terms{dialect::deflated, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"};
    }
    return compression_terms{dialect::deflated_narrow, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                                                       "server_max_window_bits=9"};
  }

private:
  void note(bool& seen, bool valid) {
    valid_ &= valid && !seen;
    seen = true;
  }

  bool server_no_context_takeover_ = false;
  bool client_no_context_takeover_ = false;
  bool server_max_window_bits_ = false;
  bool client_max_window_bits_ = false;
  int server_bits_ = 0;
  bool valid_ = true;
};

}  // namespace

std::optional<compression_terms> accept_compression(std::string_view offers) noexcept {
  if (!has_compression()) return {};
  extension_scanner from(offers);
  while (!from.at_end()) {
    if (from.take(',')) continue;  // an empty element
    std::string_view const name = from.take_token();
    if (name.empty()) return {};
    offer found;
    while (from.take(';')) {
      std::string_view const parameter = from.take_token();
      std::optional<std::string_view> value;
      if (from.take('=')) value = from.take_value();
      if (parameter.empty() || (value && value->empty())) return {};
      found.add(parameter, value);
    }
    if (!from.at_end() && !from.take(',')) return {};
    if (name != "permessage-deflate") continue;
    if (auto const accepted = found.terms()) return accepted;
  }
  return {};
}

std::optional<compression_terms> accept_compression(request const& asked) {
  field_section const& fields = asked.fields();
  for (auto const& one : fields.all()) {
    if (!equal_ignoring_case(fields.name(one), "sec-websocket-extensions")) continue;
    if (auto const accepted = accept_compression(fields.value(one))) return accepted;
  }
  return {};
}

}  // namespace kino::server
