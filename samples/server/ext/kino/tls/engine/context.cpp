// SPDX-License-Identifier: MIT
//
// Contexts: certificates, their keys, and the rules of a handshake.

#include "tls/engine/openssl.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace kino::server::tls {

namespace {

// Authenticated ciphers with forward secrecy. Of those in brackets, the client's favourite is taken: one without AES
// instructions prefers ChaCha20. TLS 1.3 has no others.
constexpr char tls12_ciphers[] =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305|ECDHE-RSA-AES128-GCM-SHA256|"
    "ECDHE-RSA-CHACHA20-POLY1305]:[ECDHE-ECDSA-AES256-GCM-SHA384|ECDHE-RSA-AES256-GCM-SHA384]";

// Two of the intervals at which the server rotates its ticket keys, of which three are kept.
constexpr std::uint32_t session_seconds = 2 * 60 * 60;

[[noreturn]] void refuse(std::string const& sentence) { throw std::runtime_error(sentence); }

std::string named(bytes name) { return std::string(view(name)); }

// The reason of the last error, and none is left.
std::string reason() {
  std::uint32_t const code = ERR_peek_last_error();
  ERR_clear_error();
  char const* const words = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return words ? words : "unknown error";
}

template <class T>
T* needed(T* made) {
  if (!made) throw std::bad_alloc();
  return made;
}

bssl::UniquePtr<BIO> reader_of(bytes pem) {
  return bssl::UniquePtr<BIO>(needed(BIO_new_mem_buf(pem.data, static_cast<int>(pem.size))));
}

// Every certificate in `pem`, at least one.
std::vector<bssl::UniquePtr<X509>> certificates_in(bytes pem, bytes name) {
  std::vector<bssl::UniquePtr<X509>> all;
  auto const from = reader_of(pem);
  for (;;) {
    bssl::UniquePtr<X509> one(PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr));
    if (!one) break;
    all.push_back(std::move(one));
  }
  std::uint32_t const code = ERR_peek_last_error();
  bool const at_end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  if (!at_end) refuse(named(name) + " has a certificate that cannot be read (" + reason() + ")");
  ERR_clear_error();
  if (all.empty()) refuse(named(name) + " has no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  return all;
}

// No password is asked for: a server starts unattended.
int no_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

bssl::UniquePtr<EVP_PKEY> key_in(bytes pem, bytes name) {
  bool encrypted = false;
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(reader_of(pem).get(), nullptr, no_password, &encrypted));
  if (key) return key;
  if (encrypted) refuse(named(name) + " is encrypted; store the key without a password (openssl pkey -in FILE -out FILE)");
  std::uint32_t const code = ERR_peek_last_error();
  if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
    refuse(named(name) + " has no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
  }
  refuse(named(name) + " has a private key that cannot be read (" + reason() + ")");
}

std::string date_of(ASN1_TIME const* when) {
  bssl::UniquePtr<BIO> const text(needed(BIO_new(BIO_s_mem())));
  ASN1_TIME_print(text.get(), when);
  std::uint8_t const* data = nullptr;
  std::size_t size = 0;
  if (BIO_mem_contents(text.get(), &data, &size) != 1) return "an unknown date";
  return {reinterpret_cast<char const*>(data), size};
}

void use(SSL_CTX* in, certificate const& from) {
  auto const chain = certificates_in(from.chain, from.name);
  auto const key = key_in(from.key, from.key_name);
  X509* const leaf = chain.front().get();
  if (X509_check_private_key(leaf, key.get()) != 1) {
    refuse("the key " + named(from.key_name) + " does not belong to the certificate " + named(from.name));
  }
  if (X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0) {
    refuse("the certificate " + named(from.name) + " expired on " + date_of(X509_get0_notAfter(leaf)) + "; renew it");
  }
  bool used = SSL_CTX_use_certificate(in, leaf) == 1 && SSL_CTX_use_PrivateKey(in, key.get()) == 1;
  for (std::size_t i = 1; i < chain.size(); ++i) used = used && SSL_CTX_add1_chain_cert(in, chain[i].get()) == 1;
  if (!used) refuse("the certificate " + named(from.name) + " cannot be used (" + reason() + ")");
}

void verify_clients(SSL_CTX* in, settings const& wanted) {
  if (wanted.clients == verify::none) return;
  X509_STORE* const store = SSL_CTX_get_cert_store(in);
  for (auto const& one : certificates_in(wanted.client_ca, wanted.client_ca_name)) {
    if (X509_STORE_add_cert(store, one.get()) != 1 || SSL_CTX_add_client_CA(in, one.get()) != 1) {
      refuse(named(wanted.client_ca_name) + " has a certificate that cannot be used (" + reason() + ")");
    }
  }
  int const required = wanted.clients == verify::force_peer ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(in, SSL_VERIFY_PEER | required, nullptr);
}

// A session is resumed only under the rules for clients that it was begun with. It survives a new certificate.
void name_sessions(SSL_CTX* in, settings const& wanted) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256_CTX sum;
  SHA256_Init(&sum);
  SHA256_Update(&sum, &wanted.clients, sizeof wanted.clients);
  SHA256_Update(&sum, wanted.client_ca.data, wanted.client_ca.size);
  SHA256_Final(digest.data(), &sum);
  if (SSL_CTX_set_session_id_context(in, digest.data(), digest.size()) != 1) throw std::bad_alloc();
}

int select_protocol(SSL* ssl, std::uint8_t const** out, std::uint8_t* length, std::uint8_t const* offered,
                    unsigned offered_length, void*) {
  std::string const& ours = session::of(ssl).home.protocols;
  std::uint8_t* found = nullptr;
  int const how = SSL_select_next_proto(&found, length, reinterpret_cast<std::uint8_t const*>(ours.data()),
                                        static_cast<unsigned>(ours.size()), offered, offered_length);
  *out = found;
  return how == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Server Name Indication: the first certificate that is valid for the name.
int select_certificate(SSL* ssl, int*, void*) {
  char const* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  auto const& all = session::of(ssl).home.certificates;
  if (!name || all.size() == 1) return SSL_TLSEXT_ERR_NOACK;
  for (auto const& one : all) {
    if (X509_check_host(SSL_CTX_get0_certificate(one.get()), name, std::strlen(name), 0, nullptr) != 1) continue;
    SSL_set_SSL_CTX(ssl, one.get());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

bssl::UniquePtr<SSL_CTX> made(settings const& wanted, certificate const& from) {
  bssl::UniquePtr<SSL_CTX> fresh(needed(SSL_CTX_new(TLS_method())));
  SSL_CTX* const in = fresh.get();
  SSL_CTX_set_min_proto_version(in, TLS1_2_VERSION);
  if (SSL_CTX_set_strict_cipher_list(in, tls12_ciphers) != 1) refuse("BoringSSL lacks some of the ciphers (" + reason() + ")");
  SSL_CTX_set_options(in, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_early_data_enabled(in, 0);  // 0-RTT requests could be replayed.
  SSL_CTX_set_session_cache_mode(in, SSL_SESS_CACHE_OFF);  // Clients keep their sessions, in tickets.
  SSL_CTX_set_timeout(in, session_seconds);
  SSL_CTX_set_session_psk_dhe_timeout(in, session_seconds);
  SSL_CTX_set_tlsext_ticket_key_cb(in, ticket_keys::callback);
  SSL_CTX_set_tlsext_servername_callback(in, select_certificate);
  if (wanted.protocols.size != 0) SSL_CTX_set_alpn_select_cb(in, select_protocol, nullptr);
  use(in, from);
  verify_clients(in, wanted);
  name_sessions(in, wanted);
  return fresh;
}

}  // namespace

void copy_text(std::string_view text, char* into, std::size_t room) noexcept {
  if (room == 0) return;
  into[text.copy(into, room - 1)] = '\0';
}

context* make_context(settings const* wanted, ticket_keys* keys, char* error, std::size_t room) noexcept {
  context* fresh = nullptr;
  try {
    fresh = new context(*keys);
    fresh->protocols = view(wanted->protocols);
    for (std::size_t i = 0; i < wanted->count; ++i) {
      fresh->certificates.push_back(made(*wanted, wanted->certificates[i]));
    }
    if (fresh->certificates.empty()) refuse("there is no certificate");
    return fresh;
  } catch (std::bad_alloc const&) {
    copy_text("out of memory", error, room);
  } catch (std::exception const& e) {
    copy_text(e.what(), error, room);
  }
  if (fresh) fresh->drop();
  ERR_clear_error();
  return nullptr;
}

}  // namespace kino::server::tls
