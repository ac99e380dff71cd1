// SPDX-License-Identifier: MIT
//
// Random and changed bytes for the server's side of TLS, in any fragments, beside a canary: a well-behaved session with the
// same context, which no other session may disturb.
//
// A run of one seed: SEED=4711 stress_server_tls. More of them: SEEDS=100000 stress_server_tls.

#include "net/tls_transport.hpp"

#include "../support/stress.hpp"
#include "../support/tls_wire.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

using namespace tls_test;

namespace {

std::uint32_t setting(char const* name, std::uint32_t otherwise) {
  char const* const given = std::getenv(name);
  return given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : otherwise;
}

// The header of a record, and as many bytes as it says, or not.
std::string record(stress::dice& chance) {
  std::uint32_t const length = chance.once_in(3) ? chance.below(65536) : chance.below(300);
  std::string made{static_cast<char>(chance.once_in(4) ? chance.below(256) : 20 + chance.below(5)), '\x03',
                   static_cast<char>(chance.below(5)), static_cast<char>(length >> 8), static_cast<char>(length)};
  return made + random_bytes(chance, chance.once_in(3) ? chance.below(length + 1) : length);
}

// Changes what a client sends, once in so many times that it sends something.
class attacker {
public:
  attacker(std::uint32_t seed, std::uint32_t once_in) : chance_(seed), once_in_(once_in) {}
  [[nodiscard]] bool has_changed() const { return changed_; }

  void operator()(std::string& output) {
    if (output.empty() || !chance_.once_in(once_in_)) return;
    std::string const before = output;
    auto const size = static_cast<std::uint32_t>(output.size());
    std::uint32_t const at = chance_.below(size);
    switch (chance_.below(8)) {
      case 0: output[at] ^= static_cast<char>(1 + chance_.below(255)); break;
      case 1: output.insert(at, random_bytes(chance_, 1 + chance_.below(400))); break;
      case 2: output.erase(at, 1 + chance_.below(size)); break;
      case 3: output += output; break;
      case 4: output.insert(0, record(chance_)); break;
      case 5: output += record(chance_); break;
      case 6: output = earlier_ + output; break;
      default: output = random_bytes(chance_, 1 + chance_.below(2000)); break;
    }
    earlier_ = before;
    changed_ |= output != before;
  }

private:
  stress::dice chance_;
  std::uint32_t const once_in_;
  std::string earlier_;
  bool changed_ = false;
};

faults some_faults(stress::dice& chance) {
  faults met;
  if (chance.once_in(2)) met.part = 1 + chance.below(4);
  if (chance.once_in(2)) met.blocked = 2 + chance.below(6);
  if (chance.once_in(2)) met.crossed = 2 + chance.below(6);
  return met;
}

client_options some_client(stress::dice& chance) {
  int const version = chance.once_in(2) ? TLS1_2_VERSION : TLS1_3_VERSION;
  return {.least = version, .most = version, .certificate = chance.once_in(4) ? &default_identity() : nullptr};
}

// Asks for client certificates, so there is more of a client that the server parses.
tls::context& asking_context() {
  static auto const keys = ticket_keys();
  static auto const made = [] {
    server::tls_settings wanted = settings_of(default_identity());
    wanted.clients = tls::verify::peer;
    wanted.client_ca = default_identity().certificate_pem();
    wanted.client_ca_name = "ca.pem";
    return server::make_tls_context(wanted, *keys, {"http/1.1"});
  }();
  return *made;
}

// A session that must work, whatever happens beside it.
class canary {
public:
  explicit canary(std::uint32_t seed)
      : chance_(seed), wire_(some_client(chance_), some_faults(chance_), seed, 1 + chance_.below(20000), asking_context()) {}

  void turn() { static_cast<void>(wire_.turn()); }
  // Sends some bytes each way.
  void sing() {
    wire_.run();
    REQUIRE(wire_.peer.established());
    std::string const there = random_bytes(chance_, 1 + chance_.below(5000));
    std::string const back = random_bytes(chance_, 1 + chance_.below(5000));
    sent_ += there;
    answered_ += back;
    wire_.peer.write(there);
    wire_.to_send += back;
    wire_.run();
    CHECK(wire_.received.compare(sent_) == 0);
    CHECK(wire_.peer.received().compare(answered_) == 0);
    CHECK(!wire_.over);
    CHECK(wire_.result.calls == 1);
  }

private:
  stress::dice chance_;
  wire wire_;
  std::string sent_;
  std::string answered_;
};

void attack(std::uint32_t seed, canary& beside) {
  stress::dice chance(seed);
  tls::context& with = chance.once_in(2) ? asking_context() : default_context();
  wire one(some_client(chance), some_faults(chance), seed, 1 + chance.below(40000), with);
  one.read_size = 1 + chance.below(20000);
  one.carried_at_once = 1 + chance.below(40000);
  auto const foe = std::make_shared<attacker>(seed, 1 + chance.below(chance.once_in(2) ? 4 : 40));
  one.tamper = [foe](std::string& output) { (*foe)(output); };
  std::string there;
  std::string back;
  bool left = false;
  // Each turn, something may happen; then the two do what they can until nothing moves.
  std::uint32_t turns = 0;
  for (std::uint32_t events = 1 + chance.below(12); events != 0; --events) {
    for (int idle = 0; idle < 3 && turns < 1'000'000; ++turns) {
      idle = one.turn() ? 0 : idle + 1;
      if (chance.once_in(20)) beside.turn();
    }
    switch (chance.below(6)) {
      case 0: one.raw(random_bytes(chance, 1 + chance.below(600))); break;
      case 1: one.raw(record(chance)); break;
      case 2: one.end(), left = true; break;
      case 3: one.reset(), left = true; break;
      default:
        if (left || !one.peer.established() || one.peer.failed()) break;
        std::string const more = random_bytes(chance, 1 + chance.below(40000));
        there += more;
        one.peer.write(more);
        if (one.result.succeeded == 0) break;
        std::string const answer = random_bytes(chance, 1 + chance.below(40000));
        back += answer;
        one.to_send += answer;
    }
  }
  one.end();
  for (int idle = 0; idle < 3 && turns < 1'000'000; ++turns) idle = one.turn() ? 0 : idle + 1;
  CHECK(turns < 1'000'000);
  CHECK(one.over.has_value());
  // Whatever was changed, nothing else than what the peer has written is ever read.
  CHECK(std::string_view(there).starts_with(one.received));
  CHECK(std::string_view(back).starts_with(one.peer.received()));
  CHECK(one.result.calls == 1);
  if (one.over != io_result::state::failed) return;
  char byte = 0;
  CHECK(one.ours->read_some({&byte, 1}).failed());
  iovec const piece{&byte, 1};
  CHECK((one.result.succeeded == 1 || one.ours->write_some({&piece, 1}).failed()));
}

}  // namespace

TEST_CASE("whatever a client sends, the server reads only what was written, and no other session is disturbed") {
  std::uint32_t const only = setting("SEED", 0);
  std::uint32_t const last = only != 0 ? only : setting("SEEDS", stress::scaled(3000));
  std::unique_ptr<canary> beside;
  for (std::uint32_t seed = only != 0 ? only : 1; seed <= last; ++seed) {
    INFO("SEED=" << seed);
    if (!beside || seed % 20 == 1) beside = std::make_unique<canary>(seed);
    attack(seed, *beside);
    beside->sing();
  }
}
