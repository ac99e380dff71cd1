// SPDX-License-Identifier: MIT
//
// What kino_tls exports: one function, which returns the table of all others.

#include "tls/engine/openssl.hpp"

#include <new>

namespace kino::server::tls {

namespace {

char const* description() noexcept { return "BoringSSL"; }

ticket_keys* make_ticket_keys() noexcept {
  auto* const made = new (std::nothrow) ticket_keys;
  if (!made || made->rotate()) return made;
  made->drop();
  return nullptr;
}

bool rotate(ticket_keys* keys) noexcept { return keys->rotate(); }

template <class T>
void drop(T* of) noexcept {
  if (of) of->drop();
}

void free_session(session* of) noexcept { delete of; }

std::size_t pending(session const* of) noexcept { return static_cast<std::size_t>(SSL_pending(of->ssl.get())); }

bool established(session const* of) noexcept { return SSL_in_init(of->ssl.get()) == 0; }

constexpr functions table{
    .description = description,
    .make_ticket_keys = make_ticket_keys,
    .rotate = rotate,
    .free_ticket_keys = drop<ticket_keys>,
    .make_context = make_context,
    .free_context = drop<context>,
    .make_session = make_session,
    .free_session = free_session,
    .read = read,
    .write = write,
    .end_stream = end_stream,
    .pending = pending,
    .established = established,
    .why = why,
    .agreed = agreed,
    .client_certificate = client_certificate,
};

}  // namespace

}  // namespace kino::server::tls

extern "C" __attribute__((visibility("default"))) kino::server::tls::functions const* kino_tls_functions(
    std::uint32_t version) {
  using namespace kino::server;
  return version == tls::version ? &tls::table : nullptr;
}
