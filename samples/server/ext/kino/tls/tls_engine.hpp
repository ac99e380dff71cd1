// SPDX-License-Identifier: MIT
//
// The functions of the shared object kino_tls, which contains all that the server knows of BoringSSL.

#pragma once

#include <cstddef>
#include <cstdint>

/// kino_tls is loaded so that none of its symbols is visible to other code, and theirs are not to it: BoringSSL and the
/// OpenSSL of Ruby's `openssl` have the same names. One function, looked up by name, returns a table of all others.
/// Only plain data crosses the boundary, and each side frees its own memory: with RTLD_DEEPBIND, the two may even use
/// different allocators.
///
/// Threads: any, each context and ticket_keys by any number of them, each session by one at a time.
/// Blocks:  never; a handshake computes for up to some milliseconds.
/// Errors:  results; nothing throws. A function that returns a pointer returns null without memory.
namespace kino::server::tls {

/// A view of bytes.
struct bytes {
  char const* data;
  std::size_t size;
};

/// The keys that encrypt session tickets, shared by successive contexts, so that sessions survive a new certificate.
struct ticket_keys;
/// Certificates and rules, which sessions are begun with. A session keeps its context.
struct context;
/// The server's side of one encrypted connection.
struct session;

enum class verify : std::int32_t {
  none,        ///< Clients are not asked for a certificate.
  peer,        ///< A client may present one, which must be valid.
  force_peer,  ///< A client must present one.
};

/// One certificate with its key, as PEM.
struct certificate {
  bytes chain;     ///< the certificate itself, then those that vouch for it
  bytes key;
  bytes name;      ///< for error messages: where `chain` comes from ...
  bytes key_name;  ///< ... and `key`
};

struct settings {
  certificate const* certificates;  ///< the first is for clients that ask for no name, or for an unknown one
  std::size_t count;
  bytes client_ca;  ///< PEM of the authorities whose client certificates are valid
  bytes client_ca_name;
  verify clients;
  bytes protocols;  ///< for ALPN, most wanted first, each behind a byte with its length
};

/// What a session reads from and writes to. Both functions are called from within functions of the session.
struct wire {
  void* self;
  /// Reads at least one byte; 0: the peer has ended the stream, `would_block` or `lost` otherwise.
  std::ptrdiff_t (*read)(void* self, char* into, std::size_t room) noexcept;
  /// Takes all of `size` bytes; false: there is no memory for them.
  bool (*write)(void* self, char const* data, std::size_t size) noexcept;
};
inline constexpr std::ptrdiff_t would_block = -1;
inline constexpr std::ptrdiff_t lost = -2;

enum class result : std::int32_t {
  done,   ///< Bytes were read, or written.
  end,    ///< The peer has ended the stream.
  again,  ///< `wire.read` returned would_block.
  failed,
};

/// Why a session failed.
enum class failure : std::int32_t {
  none,
  plain_http,   ///< The client speaks HTTP without TLS.
  left,         ///< The client ended the connection before the handshake was complete.
  certificate,  ///< The client's certificate is missing or invalid, or the client rejected the server's.
  mismatch,     ///< The two have no version, cipher or protocol in common.
  malformed,    ///< The client sent something else.
};
inline constexpr std::size_t failures = 6;

/// What a complete handshake has agreed on.
struct agreement {
  bool resumed;
  bool client_verified;
  char const* version;   ///< "TLSv1.3"; static, as is the next one
  char const* cipher;
  bytes protocol;        ///< by ALPN; empty: none. Valid as long as the session
};

struct functions {
  /// Describes the library: "BoringSSL".
  char const* (*description)() noexcept;

  ticket_keys* (*make_ticket_keys)() noexcept;
  /// New tickets get a new key; the two keys before it are still accepted.
  bool (*rotate)(ticket_keys*) noexcept;
  void (*free_ticket_keys)(ticket_keys*) noexcept;

  /// Null with a sentence in `error`, at most `room` bytes with the terminating zero.
  context* (*make_context)(settings const*, ticket_keys*, char* error, std::size_t room) noexcept;
  void (*free_context)(context*) noexcept;

  session* (*make_session)(context*, wire const*) noexcept;
  void (*free_session)(session*) noexcept;
  /// Continues the handshake, then reads decrypted bytes; `got` of them.
  result (*read)(session*, char* into, std::size_t room, std::size_t* got) noexcept;
  /// Encrypts all of them; only after the handshake.
  result (*write)(session*, char const* data, std::size_t size) noexcept;
  /// Sends the end of the stream, if the handshake is complete.
  void (*end_stream)(session*) noexcept;
  /// Decrypted bytes that `read` returns without reading from the wire.
  std::size_t (*pending)(session const*) noexcept;
  bool (*established)(session const*) noexcept;
  /// Why it failed, with some words about it in `text`.
  failure (*why)(session const*, char* text, std::size_t room) noexcept;
  void (*agreed)(session const*, agreement*) noexcept;
  /// Calls `take` with the client's certificate and the name of its subject (RFC 2253), if there is one.
  bool (*client_certificate)(session const*, void* self, void (*take)(void* self, bytes pem, bytes subject)) noexcept;
};

/// Changes with every incompatible change of this file.
inline constexpr std::uint32_t version = 1;
/// The name of the function that kino_tls exports, and its type. It returns null for an unknown version.
inline constexpr char entry_name[] = "kino_tls_functions";
using entry = functions const* (*)(std::uint32_t version);

}  // namespace kino::server::tls
