// SPDX-License-Identifier: MIT
//
// Certificates, and what a handshake agrees on.

#include "tls/tls_library.hpp"

#include "../support/tls_client.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace server = kino::server;
namespace tls = kino::server::tls;
using server::tls_settings;
using tls_test::client;
using tls_test::client_options;
using tls_test::identity;

namespace {

tls::ticket_keys& keys() {
  static auto const made = tls_test::ticket_keys();
  return *made;
}

tls::context_ptr context_of(tls_settings const& from) { return server::make_tls_context(from, keys(), {"http/1.1"}); }

// A session and its client, joined by two strings.
class pair {
public:
  explicit pair(tls::context& with, client_options const& wanted = {}) : peer(wanted) {
    tls::wire const wire{this, read, write};
    ours.reset(tls_test::library().make_session(&with, &wire));
    for (int n = 0; n < 6; ++n) turn();
    // TLS 1.3: tickets are sent with the first bytes.
    if (!complete() || tls_test::library().write(ours.get(), "x", 1) != tls::result::done) return;
    for (int n = 0; n < 2; ++n) turn();
  }
  void turn() {
    peer.step();
    to_server_ += peer.take_output();
    char into[4096];
    std::size_t got = 0;
    if (how != tls::result::failed) how = tls_test::library().read(ours.get(), into, sizeof into, &got);
    peer.give_input(std::exchange(to_client_, ""));
  }
  [[nodiscard]] bool complete() const { return how != tls::result::failed && tls_test::library().established(ours.get()) && peer.established() && !peer.failed(); }
  [[nodiscard]] tls::failure why() const {
    char words[256];
    return tls_test::library().why(ours.get(), words, sizeof words);
  }
  [[nodiscard]] tls::agreement agreed() const {
    tls::agreement made{};
    tls_test::library().agreed(ours.get(), &made);
    return made;
  }

  client peer;
  tls::session_ptr ours;
  tls::result how = tls::result::again;

private:
  static std::ptrdiff_t read(void* self, char* into, std::size_t room) noexcept {
    std::string& from = static_cast<pair*>(self)->to_server_;
    std::size_t const length = from.copy(into, room);
    from.erase(0, length);
    return length == 0 ? tls::would_block : static_cast<std::ptrdiff_t>(length);
  }
  static bool write(void* self, char const* data, std::size_t size) noexcept {
    static_cast<pair*>(self)->to_client_.append(data, size);
    return true;
  }

  std::string to_server_;
  std::string to_client_;
};

std::string refusal(tls_settings const& from) {
  try {
    static_cast<void>(context_of(from));
  } catch (std::invalid_argument const& e) {
    return e.what();
  }
  return "";
}

void check_refused(std::string const& got, std::string_view part) {
  CAPTURE(got);
  CHECK(got.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("what cannot be used is named in one sentence") {
  identity const good("good.example");
  identity const other("other.example");
  identity const old("old.example", -60);
  tls_settings settings = tls_test::settings_of(good);
  settings.certificates[0].key = other.key_pem();
  check_refused(refusal(settings), "the key server.key does not belong to the certificate server.pem");
  settings.certificates[0].key = good.certificate_pem();
  check_refused(refusal(settings), "server.key has no private key in PEM form");
  settings.certificates[0].key = good.key_pem("secret");
  check_refused(refusal(settings), "server.key is encrypted");
  settings = tls_test::settings_of(old);
  check_refused(refusal(settings), "server.pem expired on ");
  settings.certificates[0].chain = "nonsense";
  check_refused(refusal(settings), "server.pem has no certificate in PEM form");
  settings.certificates[0].chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  check_refused(refusal(settings), "server.pem has a certificate that cannot be read");
  settings = tls_test::settings_of(good);
  settings.clients = tls::verify::peer;
  settings.client_ca_name = "ca.pem";
  check_refused(refusal(settings), "ca.pem has no certificate");
  settings.certificates.clear();
  check_refused(refusal(settings), "there is no certificate");
}

TEST_CASE("a missing library is one clear error") {
  // Another path is not looked at once the library is loaded, so this asks the loader in a fresh process only if it is
  // the first: what is checked is that a loaded library stays.
  auto const& first = tls_test::library();
  CHECK(&server::tls_library::load("/nowhere/kino_tls.so") == &first);
}

TEST_CASE("versions before 1.2 are refused") {
  auto const with = context_of(tls_test::settings_of(tls_test::default_identity()));
  pair const one(*with, {.least = TLS1_VERSION, .most = TLS1_1_VERSION});
  CHECK(!one.complete());
  CHECK(one.why() == tls::failure::mismatch);
}

TEST_CASE("the protocol is agreed on, and no other is accepted") {
  auto const with = context_of(tls_test::settings_of(tls_test::default_identity()));
  pair const both(*with, {.protocols = "\x02h2\x08http/1.1"});
  REQUIRE(both.complete());
  tls::agreement const agreed = both.agreed();
  CHECK(std::string_view(agreed.protocol.data, agreed.protocol.size) == "http/1.1");
  CHECK(std::strcmp(agreed.version, "TLSv1.3") == 0);
  pair const none(*with, {.protocols = ""});
  REQUIRE(none.complete());
  CHECK(none.agreed().protocol.size == 0);
  pair const other(*with, {.protocols = "\x03" "foo"});
  CHECK(!other.complete());
  CHECK(other.why() == tls::failure::mismatch);
}

TEST_CASE("a client gets the certificate for the name that it asks for") {
  identity const first("first.example");
  identity const second("*.second.example");
  tls_settings settings;
  settings.certificates = {first.for_server(), second.for_server()};
  auto const with = context_of(settings);
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    auto const name_for = [&](std::string const& host) {
      pair const one(*with, {.least = version, .most = version, .host = host});
      CHECK(one.complete());
      return one.peer.server_name();
    };
    CHECK(name_for("first.example") == "first.example");
    CHECK(name_for("a.second.example") == "*.second.example");
    CHECK(name_for("unknown.example") == "first.example");
    CHECK(name_for("") == "first.example");
  }
}

TEST_CASE("sessions are resumed, also with a new certificate, until their key has been rotated out") {
  auto const rotating = tls_test::ticket_keys();
  auto const make = [&](identity const& of) {
    return server::make_tls_context(tls_test::settings_of(of), *rotating, {"http/1.1"});
  };
  auto with = make(tls_test::default_identity());
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    client_options wanted{.least = version, .most = version};
    pair first(*with, wanted);
    REQUIRE(first.complete());
    CHECK(!first.agreed().resumed);
    auto const session = first.peer.session();
    REQUIRE(session);
    wanted.resume = session.get();
    identity const renewed("renewed.example");
    with = make(renewed);
    for (int rotations = 0; rotations < 4; ++rotations) {
      pair const again(*with, wanted);
      REQUIRE(again.complete());
      CHECK(again.agreed().resumed == (rotations < 3));
      CHECK(again.peer.resumed() == (rotations < 3));
      CHECK(tls_test::library().rotate(rotating.get()));
    }
  }
}

TEST_CASE("0-RTT stays off") {
  auto const with = context_of(tls_test::settings_of(tls_test::default_identity()));
  pair first(*with);
  auto const session = first.peer.session();
  REQUIRE(session);
  CHECK(SSL_SESSION_early_data_capable(session.get()) == 0);
}

TEST_CASE("client certificates: not asked for, asked for, required") {
  identity const authority("authority.example");
  identity const known("known.example", 3600, &authority);
  identity const stranger("stranger.example");
  tls_settings settings = tls_test::settings_of(tls_test::default_identity());
  settings.client_ca = authority.certificate_pem();
  for (auto const clients : {tls::verify::none, tls::verify::peer, tls::verify::force_peer}) {
    settings.clients = clients;
    auto const with = context_of(settings);
    bool const asked = clients != tls::verify::none;
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      client_options wanted{.least = version, .most = version};
      pair const without(*with, wanted);
      CHECK(without.complete() == (clients != tls::verify::force_peer));
      CHECK((without.why() == tls::failure::certificate) == (clients == tls::verify::force_peer));
      wanted.certificate = &stranger;
      pair const foreign(*with, wanted);
      CHECK(foreign.complete() == !asked);
      wanted.certificate = &known;
      pair valid(*with, wanted);
      REQUIRE(valid.complete());
      CHECK(valid.agreed().client_verified == asked);
      std::string seen[2];
      bool const has = tls_test::library().client_certificate(
          valid.ours.get(), seen, [](void* into, tls::bytes pem, tls::bytes subject) {
            static_cast<std::string*>(into)[0].assign(pem.data, pem.size);
            static_cast<std::string*>(into)[1].assign(subject.data, subject.size);
          });
      CHECK(has == asked);
      if (!asked) continue;
      CHECK(seen[0] == known.certificate_pem());
      CHECK(seen[1] == "CN=known.example");
      // A resumed session still has it.
      auto const session = valid.peer.session();
      wanted.resume = session.get();
      pair const again(*with, wanted);
      REQUIRE(again.complete());
      CHECK(again.agreed().resumed);
      CHECK(again.agreed().client_verified);
      // Rules for clients that have changed end what was begun under others.
      tls_settings changed = settings;
      changed.client_ca += stranger.certificate_pem();
      auto const stricter = context_of(changed);
      pair const fresh(*stricter, wanted);
      CHECK(!fresh.agreed().resumed);
    }
  }
}
