// SPDX-License-Identifier: MIT
//
// What the files of kino_tls share: BoringSSL's headers, owning pointers, and the types behind the handles.

#pragma once

#include "tls/tls_engine.hpp"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "kino_tls is written for BoringSSL: set KINO_BORINGSSL to the directory that has its include and lib"
#endif

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace kino::server::tls {

/// Counts references; the last one destroys.
template <class T>
class counted {
public:
  void hold() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }  // the caller has one already
  void drop() noexcept {
    // acq_rel: the last one acquires what all the others did.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete static_cast<T*>(this);
  }

private:
  std::atomic<std::uint32_t> references_{1};
};

struct ticket_keys : counted<ticket_keys> {
  struct key {
    std::array<std::uint8_t, 16> name;
    std::array<std::uint8_t, 16> aes;
    std::array<std::uint8_t, 32> hmac;
  };

  /// Makes a new current key. False if there is no randomness.
  [[nodiscard]] bool rotate() noexcept;
  /// For SSL_CTX_set_tlsext_ticket_key_cb.
  static int callback(SSL* ssl, std::uint8_t* name, std::uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac,
                      int encrypt) noexcept;

private:
  int encrypt(std::uint8_t* name, std::uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac) noexcept;
  int decrypt(std::uint8_t const* name, std::uint8_t const* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac) noexcept;

  std::mutex mutex_;
  std::array<key, 3> keys_{};  // the current one first
  std::size_t count_ = 0;
};

struct context : counted<context> {
  explicit context(ticket_keys& t) : tickets(t) { tickets.hold(); }
  ~context() { tickets.drop(); }

  ticket_keys& tickets;
  std::vector<bssl::UniquePtr<SSL_CTX>> certificates;
  std::string protocols;
};

struct session {
  explicit session(context& of) noexcept : home(of) { home.hold(); }
  ~session() {
    ssl.reset();
    home.drop();
  }

  [[nodiscard]] static session& of(SSL const* ssl) { return *static_cast<session*>(SSL_get_app_data(ssl)); }

  context& home;
  wire to{};
  bssl::UniquePtr<SSL> ssl;
  failure why = failure::none;
  std::uint32_t error = 0;  // BoringSSL's code
  bool wire_ended = false;
};

inline std::string_view view(bytes of) { return {of.data, of.size}; }

/// Writes `text` and a zero into `room` bytes, as much of it as fits.
void copy_text(std::string_view text, char* into, std::size_t room) noexcept;

// --- the table's functions ---

context* make_context(settings const* wanted, ticket_keys* keys, char* error, std::size_t room) noexcept;
session* make_session(context* with, wire const* to) noexcept;
result read(session* from, char* into, std::size_t room, std::size_t* got) noexcept;
result write(session* to, char const* data, std::size_t size) noexcept;
void end_stream(session* of) noexcept;
failure why(session const* of, char* text, std::size_t room) noexcept;
void agreed(session const* of, agreement* out) noexcept;
bool client_certificate(session const* of, void* self, void (*take)(void*, bytes, bytes)) noexcept;

}  // namespace kino::server::tls
