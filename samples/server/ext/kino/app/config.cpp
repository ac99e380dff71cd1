// SPDX-License-Identifier: MIT

#include "app/config.hpp"

#include <kino/convert.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <sys/resource.h>

namespace kino::server {

namespace {

class reader {
public:
  reader(gvl const& held, VALUE hash) : held_(held), hash_(hash) {
    kino::protect(held_, [hash] { Check_Type(hash, T_HASH); });
  }

  [[nodiscard]] VALUE operator[](char const* name) const {
    return kino::protect(held_, [&] { return rb_hash_aref(hash_, ID2SYM(rb_intern(name))); });
  }

  template <class Number>
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
  void read(char const* name, std::optional<tls_settings>& into) const {
    VALUE const hash = (*this)[name];
    if (!NIL_P(hash)) into = read_tls(held_, hash);
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

  [[nodiscard]] std::vector<tls_settings::certificate> certificates() const {
    std::vector<tls_settings::certificate> all;
    VALUE const list = (*this)["certificates"];
    kino::protect(held_, [list] { Check_Type(list, T_ARRAY); });
    for (long i = 0; i < RARRAY_LEN(list); ++i) {
      reader const one(held_, RARRAY_AREF(list, i));
      tls_settings::certificate& made = all.emplace_back();
      one.read("chain", made.chain);
      one.read("key", made.key);
      one.read("name", made.name);
      one.read("key_name", made.key_name);
    }
    return all;
  }

  [[nodiscard]] std::vector<bind_address> binds() const {
    std::vector<bind_address> all;
    VALUE const list = (*this)["binds"];
    if (NIL_P(list)) return all;
    kino::protect(held_, [list] { Check_Type(list, T_ARRAY); });
    for (long i = 0; i < RARRAY_LEN(list); ++i) all.push_back(bind(RARRAY_AREF(list, i)));
    return all;
  }

private:
  [[nodiscard]] std::string text(VALUE value) const {
    return kino::from_ruby<std::string>(held_, value);
  }
  [[nodiscard]] bind_address bind(VALUE one) const {
    bind_address made;
    if (RB_TYPE_P(one, T_STRING)) {
      made.path = text(one);
      return made;
    }
    kino::protect(held_, [one] { Check_Type(one, T_ARRAY); });
    if (RARRAY_LEN(one) == 1) {
      made.path = text(RARRAY_AREF(one, 0));
      return made;
    }
    if (RARRAY_LEN(one) != 2 && RARRAY_LEN(one) != 3) {
      throw std::invalid_argument("kino: a bind is [host, port], [host, port, tls], [path] or [path, mode]");
    }
    made.host = text(RARRAY_AREF(one, 0));
    VALUE const port_or_mode = RARRAY_AREF(one, 1);
    auto const number = kino::from_ruby<long>(held_, port_or_mode);
    if (made.host.starts_with('/')) {
      made.path.swap(made.host);
      made.mode = static_cast<unsigned>(number) & 0777;
      return made;
    }
    if (number < 0 || number > 65535) {
      throw std::invalid_argument("kino: port " + std::to_string(number) +
                                  " is not between 0 and 65535");
    }
    made.port = static_cast<std::uint16_t>(number);
    made.tls = RARRAY_LEN(one) == 3 && RTEST(RARRAY_AREF(one, 2));
    return made;
  }

  gvl const& held_;
  VALUE hash_;
};

// Files and other sockets of the application need some descriptors, too.
std::size_t most_connections() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return 65536;
  return std::max<std::size_t>(64, files.rlim_cur / 10 * 8);
}

}  // namespace

tls_settings read_tls(gvl const& held, VALUE hash) {
  reader const from(held, hash);
  tls_settings made;
  made.certificates = from.certificates();
  from.read("client_ca", made.client_ca);
  from.read("client_ca_name", made.client_ca_name);
  int clients = 0;
  from.read("clients", clients, 0, 2);
  made.clients = static_cast<tls::verify>(clients);
  return made;
}

config read_config(gvl const& held, VALUE hash) {
  reader const from(held, hash);
  config made;
  limits& each = made.http.connection;
  made.http.binds = from.binds();
  from.read("io_threads", made.http.io_threads, 1);
  each.max_connections = most_connections();
  from.read("max_connections", each.max_connections, 1);
  from.read("max_header_size", each.max_header_size, 1, tuning::most_header_size);
  from.read("max_header_fields", each.max_header_fields, 1, 65536);
  from.read("max_body_size", each.max_body_size, 0);
  from.read("max_keep_alive", each.max_keep_alive, 1);
  from.read("body_buffer", each.body_buffer, 1);
  from.read("min_body_rate", each.min_body_rate, 0);
  from.read("min_response_rate", each.min_response_rate, 0);
  from.read("max_response_temp_file", each.max_response_temp_file, 0);
  from.read("rate_grace", each.rate_grace);
  from.read("stream_body", made.http.stream_body);
  from.read("tls", made.http.tls);
  from.read("handshake_timeout", made.http.handshake_timeout);
  from.read("header_timeout", each.header_timeout);
  from.read("body_timeout", each.body_timeout);
  from.read("keep_alive_timeout", each.keep_alive_timeout);
  from.read("queue_depth", made.queue_depth, 1);
  from.read("queue_timeout", made.queue_timeout);
  from.read("slots", made.slots, 1);
  from.read("concurrency", made.concurrency, 0);
  VALUE const permits = from["run_permits"];
  if (!NIL_P(permits)) made.run_permits = RTEST(permits);
  return made;
}

}  // namespace kino::server
