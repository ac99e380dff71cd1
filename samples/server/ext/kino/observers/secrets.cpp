// SPDX-License-Identifier: MIT

#include "observers/secrets.hpp"

#include "http/grammar.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace kino::server {

namespace {

// Names that contain one of these, in lower case and with underscores for dashes.
constexpr std::string_view secret_parts[] = {"passw",     "passphrase", "secret", "token",       "_key",    "apikey",
                                             "signature", "credential", "crypt",  "certificate", "session", "authenticity"};
// Names that are one of these: as a part, they are in ordinary words.
constexpr std::string_view secret_names[] = {"auth", "code", "key", "sig",  "sid", "jwt", "otp",
                                             "pin",  "pwd",  "pw",  "salt", "ssn", "cvv", "cvc", "assertion"};
constexpr std::string_view secret_header_parts[] = {"cookie", "authoriz", "authentic", "x_auth"};

constexpr int value_of(char digit) {
  return digit <= '9' ? digit - '0' : grammar::lower(digit) - 'a' + 10;
}

// A name in lower case, with underscores for dashes and percent-encoding decoded.
class plain_name {
public:
  explicit plain_name(std::string_view name) {
    for (std::size_t i = 0; i < name.size(); ++i) {
      char c = name[i];
      if (c == '%' && name.size() - i > 2 && grammar::is_hex_digit(name[i + 1]) && grammar::is_hex_digit(name[i + 2])) {
        c = static_cast<char>(value_of(name[i + 1]) * 16 + value_of(name[i + 2]));
        i += 2;
      }
      if (size_ == text_.size()) {
        too_long_ = true;
        return;
      }
      text_[size_++] = c == '-' ? '_' : grammar::lower(c);
    }
  }

  // Too long to be looked at.
  [[nodiscard]] bool too_long() const { return too_long_; }
  template <class Parts>
  [[nodiscard]] bool contains_any(Parts const& parts) const {
    return std::any_of(std::begin(parts), std::end(parts), [this](auto part) { return text().find(part) != text().npos; });
  }
  template <class Names>
  [[nodiscard]] bool is_any(Names const& names) const {
    return std::find(std::begin(names), std::end(names), text()) != std::end(names);
  }

private:
  [[nodiscard]] std::string_view text() const { return {text_.data(), size_}; }

  std::array<char, 128> text_;
  std::size_t size_ = 0;
  bool too_long_ = false;
};

}  // namespace

bool is_secret_parameter(std::string_view name) noexcept {
  plain_name const plain(name);
  return plain.too_long() || plain.contains_any(secret_parts) || plain.is_any(secret_names);
}

bool is_secret_header(std::string_view name) noexcept {
  plain_name const plain(name);
  return is_secret_parameter(name) || plain.contains_any(secret_header_parts);
}

}  // namespace kino::server
