// SPDX-License-Identifier: MIT

#include "net/tls_acceptor.hpp"

#include "base/log.hpp"
#include "net/tls_transport.hpp"

#include <kino/stats.hpp>

#include <chrono>
#include <exception>
#include <new>
#include <string>
#include <utility>

namespace kino::server {

namespace {

// Three keys are kept and a session ends after two hours, so no ticket expires early.
constexpr std::chrono::hours rotation_time{1};

tls::ticket_keys_ptr make_ticket_keys() {
  tls::ticket_keys_ptr made(tls_library::load().make_ticket_keys());
  if (!made) throw std::bad_alloc();
  return made;
}

}  // namespace

struct tls_acceptor::counters {
  kino::counter handshakes;
  kino::counter resumed;
  kino::counter timed_out;
  std::array<kino::counter, tls::failures> failed;
};

// What the server wants to know of one handshake.
class tls_acceptor::handshake final : public handshake_observer {
public:
  handshake(std::shared_ptr<counters> counts, std::shared_ptr<handshake_deadline::handshake> watched,
            std::shared_ptr<client_certificate> certificate, endpoint const& peer)
      : counters_(std::move(counts)),
        watched_(std::move(watched)),
        certificate_(std::move(certificate)),
        peer_(peer.address + (peer.port.empty() ? "" : ":" + peer.port)) {}

  void succeeded(tls::session const& with) noexcept override {
    tls::agreement agreed{};
    tls_library::get().agreed(&with, &agreed);
    counters_->handshakes.add();
    if (agreed.resumed) counters_->resumed.add();
    if (!certificate_) return;
    tls_library::get().client_certificate(&with, certificate_.get(), [](void* into, tls::bytes pem, tls::bytes subject) {
      auto& certificate = *static_cast<client_certificate*>(into);
      try {
        certificate.pem.assign(pem.data, pem.size);
        certificate.subject.assign(subject.data, subject.size);
      } catch (std::bad_alloc const&) {
        certificate = {};
      }
    });
  }

  void failed(tls::failure why, char const* words) noexcept override {
    if (watched_->expired()) {
      counters_->timed_out.add();
      return log("the TLS handshake was not complete within handshake_timeout");
    }
    counters_->failed[static_cast<std::size_t>(why)].add();
    switch (why) {
      case tls::failure::none:
      case tls::failure::left: return;  // A health check, perhaps.
      case tls::failure::plain_http: return log("400, the client speaks plain HTTP to an address that speaks HTTPS");
      case tls::failure::certificate: return log("TLS: one side does not accept the other's certificate: ", words);
      case tls::failure::mismatch: return log("TLS: no version, cipher or protocol in common: ", words);
      case tls::failure::malformed: return log("TLS: the handshake is malformed: ", words);
    }
  }

private:
  void log(char const* sentence, char const* words = "") const noexcept try {
    log_line(peer_ + ": " + sentence + words);
  } catch (std::bad_alloc const&) {
    log_line(sentence);
  }

  std::shared_ptr<counters> const counters_;
  std::shared_ptr<handshake_deadline::handshake> const watched_;
  std::shared_ptr<client_certificate> const certificate_;
  std::string const peer_;
};

tls_acceptor::tls_acceptor(deadline_queue& alarms, tls_settings const& settings, clock::duration handshake_timeout,
                           std::vector<std::string> protocols)
    : protocols_(std::move(protocols)),
      counters_(std::make_shared<counters>()),
      deadline_(alarms, handshake_timeout),
      ticket_keys_(make_ticket_keys()),
      rotated_at_(clock::now()) {
  renew(settings);
}

tls_acceptor::~tls_acceptor() = default;

std::unique_ptr<transport> tls_acceptor::accept(std::unique_ptr<transport> client, endpoint& peer) {
  rotate_ticket_keys();
  std::lock_guard guard(mutex_);
  auto certificate = asks_clients_ ? std::make_shared<client_certificate>() : nullptr;
  auto observer = std::make_unique<handshake>(counters_, deadline_.watch(client->descriptor()), certificate, peer);
  peer.certificate = std::move(certificate);
  return std::make_unique<tls_transport>(std::move(client), *context_, std::move(observer));
}

void tls_acceptor::renew(tls_settings const& settings) {
  tls::context_ptr fresh = make_tls_context(settings, *ticket_keys_, protocols_);
  std::lock_guard guard(mutex_);
  context_.swap(fresh);
  asks_clients_ = settings.clients != tls::verify::none;
}

void tls_acceptor::rotate_ticket_keys() {
  clock::time_point const now = coarse_now();
  if (now - rotated_at_ < rotation_time) return;
  rotated_at_ = now;
  // Without randomness, the key that there is goes on.
  static_cast<void>(tls_library::get().rotate(ticket_keys_.get()));
}

tls_statistics tls_acceptor::statistics() const {
  tls_statistics all{counters_->handshakes.total(), counters_->resumed.total(), counters_->timed_out.total(), {}};
  for (std::size_t i = 0; i < all.failed.size(); ++i) all.failed[i] = counters_->failed[i].total();
  return all;
}

}  // namespace kino::server
