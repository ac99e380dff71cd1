// SPDX-License-Identifier: MIT
//
// Sessions: the server's side of one encrypted connection.

#include "tls/engine/openssl.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <climits>
#include <new>

namespace kino::server::tls {

namespace {

// --- BoringSSL reads from and writes to the session's wire ---

int wire_read(BIO* from, char* into, int room) {
  auto& of = *static_cast<session*>(BIO_get_data(from));
  BIO_clear_retry_flags(from);
  std::ptrdiff_t const got = of.to.read(of.to.self, into, static_cast<std::size_t>(room));
  if (got == would_block) BIO_set_retry_read(from);
  if (got == 0 || got == lost) of.wire_ended = true;
  return static_cast<int>(std::max<std::ptrdiff_t>(got, -1));
}

int wire_write(BIO* to, char const* data, int size) {
  auto const& of = *static_cast<session const*>(BIO_get_data(to));
  BIO_clear_retry_flags(to);
  return of.to.write(of.to.self, data, static_cast<std::size_t>(size)) ? size : -1;
}

long wire_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int wire_create(BIO* made) {
  BIO_set_init(made, 1);
  return 1;
}

// Lives as long as the process, as do connections that are still open at its end.
BIO_METHOD const* wire_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_TYPE_NONE, "kino wire");
    if (!made) return made;
    BIO_meth_set_read(made, wire_read);
    BIO_meth_set_write(made, wire_write);
    BIO_meth_set_ctrl(made, wire_control);
    BIO_meth_set_create(made, wire_create);
    return made;
  }();
  return method;
}

// --- why it failed ---

bool alert_about_certificate(int reason) {
  switch (reason) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA: return true;
    default: return false;
  }
}

failure kind_of(std::uint32_t code) {
  if (ERR_GET_LIB(code) == ERR_LIB_X509 || ERR_GET_LIB(code) == ERR_LIB_X509V3) return failure::certificate;
  int const reason = ERR_GET_REASON(code);
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return failure::malformed;
  if (alert_about_certificate(reason)) return failure::certificate;
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return failure::plain_http;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return failure::certificate;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUP:
    case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: return failure::mismatch;
    default: return failure::malformed;
  }
}

// What a call of BoringSSL that returned `status` means; its errors are taken from the thread's queue.
result outcome(session& of, int status) {
  int const what = SSL_get_error(of.ssl.get(), status);
  std::uint32_t const code = ERR_peek_error();
  ERR_clear_error();
  switch (what) {
    case SSL_ERROR_NONE: return result::done;
    case SSL_ERROR_WANT_READ: return result::again;
    case SSL_ERROR_ZERO_RETURN: return result::end;
    case SSL_ERROR_SYSCALL:
      // A request tells its end itself, so the end of the stream need not be announced.
      if (status == 0 && SSL_in_init(of.ssl.get()) == 0) return result::end;
      break;
    default: break;
  }
  if (of.why != failure::none) return result::failed;
  if (of.wire_ended) {
    of.why = failure::left;
  } else {
    of.error = code;
    of.why = kind_of(code);
  }
  return result::failed;
}

}  // namespace

session* make_session(context* with, wire const* to) noexcept {
  session* const made = new (std::nothrow) session(*with);
  if (!made) return nullptr;
  made->to = *to;
  made->ssl.reset(SSL_new(with->certificates.front().get()));
  BIO_METHOD const* const method = wire_method();
  BIO* const link = method && made->ssl ? BIO_new(method) : nullptr;
  if (!link) {
    ERR_clear_error();
    delete made;
    return nullptr;
  }
  BIO_set_data(link, made);
  SSL_set_bio(made->ssl.get(), link, link);
  SSL_set_app_data(made->ssl.get(), made);
  SSL_set_accept_state(made->ssl.get());
  // An idle connection should not keep what only its handshake needs.
  SSL_set_shed_handshake_config(made->ssl.get(), 1);
  return made;
}

result read(session* from, char* into, std::size_t room, std::size_t* got) noexcept {
  *got = 0;
  int const length = SSL_read(from->ssl.get(), into, static_cast<int>(std::min<std::size_t>(room, INT_MAX)));
  if (length <= 0) return outcome(*from, length);
  *got = static_cast<std::size_t>(length);
  return result::done;
}

result write(session* to, char const* data, std::size_t size) noexcept {
  while (size != 0) {
    int const length = SSL_write(to->ssl.get(), data, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
    if (length <= 0) {
      static_cast<void>(outcome(*to, length));
      return result::failed;
    }
    data += length;
    size -= static_cast<std::size_t>(length);
  }
  return result::done;
}

void end_stream(session* of) noexcept {
  // A second SSL_shutdown would wait for the client's end.
  if (SSL_in_init(of->ssl.get()) != 0 || (SSL_get_shutdown(of->ssl.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  SSL_shutdown(of->ssl.get());
  ERR_clear_error();
}

failure why(session const* of, char* text, std::size_t room) noexcept {
  char const* words = "the client ended the connection";
  // INVALID_CALL: no certificate of the client has been verified.
  long const verified = SSL_get_verify_result(of->ssl.get());
  if (of->why == failure::certificate && ERR_GET_REASON(of->error) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    words = "the client presented none";
  } else if (of->why == failure::certificate && verified != X509_V_OK && verified != X509_V_ERR_INVALID_CALL) {
    words = X509_verify_cert_error_string(verified);
  } else if (of->error != 0) {
    words = ERR_reason_error_string(of->error);
  } else if (of->why != failure::left) {
    words = "unknown error";
  }
  copy_text(words ? words : "unknown error", text, room);
  return of->why;
}

void agreed(session const* of, agreement* out) noexcept {
  SSL* const ssl = of->ssl.get();
  std::uint8_t const* protocol = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &length);
  out->resumed = SSL_session_reused(ssl) != 0;
  out->client_verified = SSL_get0_peer_certificates(ssl) != nullptr && SSL_get_verify_result(ssl) == X509_V_OK;
  out->version = SSL_get_version(ssl);
  out->cipher = SSL_get_cipher_name(ssl);
  out->protocol = {reinterpret_cast<char const*>(protocol), length};
}

bool client_certificate(session const* of, void* self, void (*take)(void*, bytes, bytes)) noexcept {
  bssl::UniquePtr<X509> const peer(SSL_get_peer_certificate(of->ssl.get()));
  if (!peer) return false;
  bssl::UniquePtr<BIO> const pem(BIO_new(BIO_s_mem()));
  bssl::UniquePtr<BIO> const subject(BIO_new(BIO_s_mem()));
  if (!pem || !subject || PEM_write_bio_X509(pem.get(), peer.get()) != 1 ||
      X509_NAME_print_ex(subject.get(), X509_get_subject_name(peer.get()), 0, XN_FLAG_RFC2253) < 0) {
    ERR_clear_error();
    return false;
  }
  bytes parts[2]{};
  BIO* const sources[2] = {pem.get(), subject.get()};
  for (int i = 0; i < 2; ++i) {
    std::uint8_t const* data = nullptr;
    if (BIO_mem_contents(sources[i], &data, &parts[i].size) != 1) return false;
    parts[i].data = reinterpret_cast<char const*>(data);
  }
  take(self, parts[0], parts[1]);
  return true;
}

}  // namespace kino::server::tls
