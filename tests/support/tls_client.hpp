// SPDX-License-Identifier: MIT
//
// Certificates made for a test, and a TLS client in memory.

#pragma once

#include "tls/tls_library.hpp"

#include <doctest/doctest.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace tls_test {

namespace server = kino::server;
namespace tls = kino::server::tls;

inline void must(bool done) {
  if (done) return;
  ERR_print_errors_fp(stderr);
  std::abort();
}

inline std::string text_in(BIO* from) {
  std::uint8_t const* data = nullptr;
  std::size_t size = 0;
  must(BIO_mem_contents(from, &data, &size) == 1);
  return {reinterpret_cast<char const*>(data), size};
}

enum class key_kind : std::uint8_t { ec, rsa };

/// A key and a certificate for it that it has signed itself, or another identity.
struct identity {
  bssl::UniquePtr<EVP_PKEY> key;
  bssl::UniquePtr<X509> certificate;

  explicit identity(std::string const& name, long seconds = 3600, identity const* authority = nullptr,
                    key_kind kind = key_kind::ec)
      : key(EVP_PKEY_new()), certificate(X509_new()) {
    kind == key_kind::ec ? make_ec_key() : make_rsa_key();
    X509* const x = certificate.get();
    static long serial = 0;
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_get_notBefore(x), -7200);
    X509_gmtime_adj(X509_get_notAfter(x), seconds);
    X509_set_pubkey(x, key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<std::uint8_t const*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(authority ? authority->certificate.get() : x));
    extend(NID_subject_alt_name, "DNS:" + name);
    if (!authority) extend(NID_basic_constraints, "critical,CA:TRUE");
    must(X509_sign(x, authority ? authority->key.get() : key.get(), EVP_sha256()) != 0);
  }

  [[nodiscard]] std::string certificate_pem() const {
    bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
    must(PEM_write_bio_X509(out.get(), certificate.get()) == 1);
    return text_in(out.get());
  }
  [[nodiscard]] std::string key_pem(char const* password = nullptr) const {
    bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
    must(PEM_write_bio_PrivateKey(out.get(), key.get(), password ? EVP_aes_128_cbc() : nullptr, nullptr, 0, nullptr,
                                  const_cast<char*>(password)) == 1);
    return text_in(out.get());
  }
  [[nodiscard]] server::tls_settings::certificate for_server() const {
    return {certificate_pem(), key_pem(), "server.pem", "server.key"};
  }

private:
  void make_ec_key() {
    bssl::UniquePtr<EC_KEY> made(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    must(EC_KEY_generate_key(made.get()) == 1 && EVP_PKEY_set1_EC_KEY(key.get(), made.get()) == 1);
  }
  void make_rsa_key() {
    bssl::UniquePtr<RSA> made(RSA_new());
    bssl::UniquePtr<BIGNUM> exponent(BN_new());
    must(BN_set_word(exponent.get(), RSA_F4) == 1 && RSA_generate_key_ex(made.get(), 2048, exponent.get(), nullptr) == 1 &&
         EVP_PKEY_set1_RSA(key.get(), made.get()) == 1);
  }
  void extend(int what, std::string const& value) {
    bssl::UniquePtr<X509_EXTENSION> const made(X509V3_EXT_nconf_nid(nullptr, nullptr, what, value.c_str()));
    must(made && X509_add_ext(certificate.get(), made.get(), -1) == 1);
  }
};

inline identity const& default_identity() {
  static identity const made("test.example");
  return made;
}

inline tls::functions const& library() { return server::tls_library::load(KINO_TLS_LIBRARY); }

inline tls::ticket_keys_ptr ticket_keys() { return tls::ticket_keys_ptr(library().make_ticket_keys()); }

inline server::tls_settings settings_of(identity const& one) {
  server::tls_settings made;
  made.certificates = {one.for_server()};
  return made;
}

/// What a client wants.
struct client_options {
  int least = TLS1_2_VERSION;
  int most = TLS1_3_VERSION;
  std::string host = {};
  std::string protocols = "\x08http/1.1";
  identity const* certificate = nullptr;
  SSL_SESSION* resume = nullptr;
};

/// A client: encrypted bytes go in and come out, where a test carries them.
class client {
public:
  explicit client(client_options const& wanted = {}) : context_(SSL_CTX_new(TLS_method())) {
    SSL_CTX* const c = context_.get();
    must(SSL_CTX_set_min_proto_version(c, static_cast<std::uint16_t>(wanted.least)) == 1 &&
         SSL_CTX_set_max_proto_version(c, static_cast<std::uint16_t>(wanted.most)) == 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(c, [](SSL* of, SSL_SESSION* made) {
      static_cast<client*>(SSL_get_app_data(of))->session_.reset(made);
      return 1;
    });
    if (wanted.certificate) {
      must(SSL_CTX_use_certificate(c, wanted.certificate->certificate.get()) == 1 &&
           SSL_CTX_use_PrivateKey(c, wanted.certificate->key.get()) == 1);
    }
    ssl_.reset(SSL_new(c));
    if (!wanted.host.empty()) SSL_set_tlsext_host_name(ssl_.get(), wanted.host.c_str());
    auto const* const protocols = reinterpret_cast<std::uint8_t const*>(wanted.protocols.data());
    SSL_set_alpn_protos(ssl_.get(), protocols, static_cast<unsigned>(wanted.protocols.size()));
    if (wanted.resume) SSL_set_session(ssl_.get(), wanted.resume);
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_.get()), -1);
    SSL_set_connect_state(ssl_.get());
  }

  /// Goes on with the handshake; then reads what has come.
  void step() {
    ERR_clear_error();
    if (SSL_do_handshake(ssl_.get()) != 1) return note(-1);
    char bytes[4096];
    for (;;) {
      int const got = SSL_read(ssl_.get(), bytes, sizeof bytes);
      if (got <= 0) return note(got);
      read_.append(bytes, static_cast<std::size_t>(got));
    }
  }
  void write(std::string_view bytes) { must(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size())); }
  void end_stream() { SSL_shutdown(ssl_.get()); }

  /// Encrypted bytes for the server.
  [[nodiscard]] std::string take_output() {
    std::string const taken = text_in(SSL_get_wbio(ssl_.get()));
    BIO_reset(SSL_get_wbio(ssl_.get()));
    return taken;
  }
  void give_input(std::string_view bytes) { BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size())); }

  [[nodiscard]] bool established() const { return SSL_is_init_finished(ssl_.get()) != 0; }
  [[nodiscard]] bool failed() const { return failed_; }
  /// Whether the server has ended the stream in order.
  [[nodiscard]] bool ended() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
  [[nodiscard]] std::string const& received() const { return read_; }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_.get()) != 0; }
  [[nodiscard]] bssl::UniquePtr<SSL_SESSION> session() { return std::move(session_); }
  [[nodiscard]] std::string server_name() const {
    bssl::UniquePtr<X509> const peer(SSL_get_peer_certificate(ssl_.get()));
    char name[256] = "";
    if (peer) X509_NAME_get_text_by_NID(X509_get_subject_name(peer.get()), NID_commonName, name, sizeof name);
    return name;
  }

private:
  void note(int status) {
    int const what = SSL_get_error(ssl_.get(), status);
    failed_ |= what != SSL_ERROR_WANT_READ && what != SSL_ERROR_ZERO_RETURN;
  }

  bssl::UniquePtr<SSL_CTX> context_;
  bssl::UniquePtr<SSL_SESSION> session_;
  bssl::UniquePtr<SSL> ssl_;
  std::string read_;
  bool failed_ = false;
};

}  // namespace tls_test
