// SPDX-License-Identifier: MIT
//
// Reads settings from a Hash of Ruby.

#pragma once

#include "app/config.hpp"

#include <kino/convert.hpp>

#include <climits>
#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace kino::server {

/// A settings_reader reads one Hash with Symbols as keys. `read` leaves a setting alone that the Hash lacks, or has as nil.
///
/// GVL:    needed.
/// Throws: ruby_error for a value of the wrong type, std::invalid_argument naming the setting for one that is not allowed.
class settings_reader {
public:
  settings_reader(gvl const& held, VALUE hash) : held_(held), hash_(hash) {
    kino::protect(held_, [hash] { Check_Type(hash, T_HASH); });
  }

  [[nodiscard]] VALUE operator[](char const* name) const {
    return kino::protect(held_, [&] { return rb_hash_aref(hash_, ID2SYM(rb_intern(name))); });
  }

  template <std::integral Number>
  void read(char const* name, Number& into, std::uint64_t least,
            std::uint64_t most = INT64_MAX) const {
    VALUE const value = (*this)[name];
    if (NIL_P(value)) return;
    auto const number = kino::from_ruby<long long>(held_, value);
    if (number < 0 || static_cast<std::uint64_t>(number) < least) {
      throw std::invalid_argument(std::string("kino: ") + name + " must be at least " +
                                  std::to_string(least) + ", not " + std::to_string(number));
    }
    if (static_cast<std::uint64_t>(number) > most) {
      throw std::invalid_argument(std::string("kino: ") + name + " must be at most " +
                                  std::to_string(most) + ", not " + std::to_string(number));
    }
    into = static_cast<Number>(number);
  }
  template <std::integral Number>
  void read(char const* name, std::optional<Number>& into) const {
    if (!NIL_P((*this)[name])) read(name, into.emplace(), 0, static_cast<std::uint64_t>(INT_MAX));
  }
  void read(char const* name, std::optional<tls_settings>& into) const {
    VALUE const hash = (*this)[name];
    if (!NIL_P(hash)) into = read_tls(held_, hash);
  }
  void read(char const* name, std::optional<access_log_settings>& into) const {
    VALUE const hash = (*this)[name];
    if (!NIL_P(hash)) into = read_access_log(held_, hash);
  }
  void read(char const* name, std::optional<control_settings>& into) const {
    VALUE const hash = (*this)[name];
    if (!NIL_P(hash)) into = read_control(held_, hash);
  }
  void read(char const* name, clock::duration& into) const {
    VALUE const value = (*this)[name];
    if (NIL_P(value)) return;
    double seconds = 0;
    kino::protect(held_, [&] { seconds = NUM2DBL(value); });
    if (!(seconds >= 0) || seconds > 1e9) {
      throw std::invalid_argument(std::string("kino: ") + name +
                                  " must be a number of seconds from 0 up, not " +
                                  std::to_string(seconds));
    }
    into = std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
  }

  void read(char const* name, std::vector<std::string>& into) const {
    VALUE const list = (*this)[name];
    if (NIL_P(list)) return;
    kino::protect(held_, [list] { Check_Type(list, T_ARRAY); });
    for (long i = 0; i < RARRAY_LEN(list); ++i) into.push_back(text(RARRAY_AREF(list, i)));
  }
  void read(char const* name, std::string& into) const {
    VALUE const value = (*this)[name];
    if (!NIL_P(value)) into = text(value);
  }

  void read(char const* name, double& into) const {
    VALUE const value = (*this)[name];
    if (!NIL_P(value)) kino::protect(held_, [&] { into = NUM2DBL(value); });
  }
  void read(char const* name, bool& into) const {
    VALUE const value = (*this)[name];
    if (!NIL_P(value)) into = RTEST(value);
  }
  void read(char const* name, forwarded_headers& into) const {
    VALUE const value = (*this)[name];
    if (NIL_P(value)) return;
    std::string const given = text(kino::protect(held_, [value] { return rb_obj_as_string(value); }));
    for (auto const which : {forwarded_headers::none, forwarded_headers::x_forwarded, forwarded_headers::forwarded}) {
      if (given == name_of(which)) return static_cast<void>(into = which);
    }
    throw std::invalid_argument(std::string("kino: ") + name + " is none, x_forwarded or forwarded, not " + given);
  }
  void read(char const* name, std::vector<bind_address>& into) const {
    if (!NIL_P((*this)[name])) into = binds(name);
  }

  [[nodiscard]] std::vector<tls_settings::certificate> certificates() const {
    std::vector<tls_settings::certificate> all;
    VALUE const list = (*this)["certificates"];
    kino::protect(held_, [list] { Check_Type(list, T_ARRAY); });
    for (long i = 0; i < RARRAY_LEN(list); ++i) {
      settings_reader const one(held_, RARRAY_AREF(list, i));
      tls_settings::certificate& made = all.emplace_back();
      one.read("chain", made.chain);
      one.read("key", made.key);
      one.read("name", made.name);
      one.read("key_name", made.key_name);
    }
    return all;
  }

  [[nodiscard]] VALUE keys() const {
    return kino::protect(held_, [this] { return rb_funcall(hash_, rb_intern("keys"), 0); });
  }

private:
  [[nodiscard]] std::vector<bind_address> binds(char const* name) const {
    std::vector<bind_address> all;
    VALUE const list = (*this)[name];
    kino::protect(held_, [list] { Check_Type(list, T_ARRAY); });
    for (long i = 0; i < RARRAY_LEN(list); ++i) all.push_back(bind(RARRAY_AREF(list, i)));
    return all;
  }
  [[nodiscard]] std::string text(VALUE value) const {
    return kino::from_ruby<std::string>(held_, value);
  }
  [[nodiscard]] bind_address bind(VALUE hash) const {
    settings_reader const one(held_, hash);
    bind_address made;
    one.read("host", made.host);
    one.read("port", made.port, 0, 65535);
    one.read("path", made.path);
    one.read("tls", made.tls);
    one.read("proxy_protocol", made.proxy_protocol);
    one.read("same_port", made.same_port);
    one.read("mode", made.mode);
    one.read("user", made.user);
    one.read("group", made.group);
    one.read("socket", made.socket);
    if (made.host.empty() == made.path.empty()) throw std::invalid_argument("kino: a bind has a host or a path");
    return made;
  }

  gvl const& held_;
  VALUE hash_;
};

}  // namespace kino::server
