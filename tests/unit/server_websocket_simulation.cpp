// SPDX-License-Identifier: MIT
//
// Whole WebSockets in one thread, which plays a client, the I/O thread and the workers in an order that a seed chooses, on
// a transport with faults. Everything must arrive, once and in order, and the connection must end.
//
// A run of one seed: SEED=4711 unit_server_websocket_simulation. More of them: SEEDS=100000.

#include "websocket/websocket.hpp"

#include "../support/simulation.hpp"
#include "../support/websocket_talk.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

using namespace websocket_test;
using kind = server::websocket_event::kind;

namespace {

talk_setup random_setup(stress::dice& chance) {
  talk_setup chosen;
  chosen.settings.most_unhandled = 200 + chance.below(1000);
  chosen.settings.most_kept = 1'000'000;
  chosen.faults = {chance.below(3), 2 * chance.below(3), 4 * chance.below(2), 0, 3 * chance.below(2)};
  chosen.room = 150 + chance.below(400);
  return chosen;
}

// One run: the client sends messages and a close frame, and the application writes some, too.
class run {
public:
  explicit run(std::uint32_t seed) : chance_(seed), here_(random_setup(chance_), seed) {
    for (std::size_t i = 0, count = chance_.below(40); i != count; ++i) {
      std::string const data = std::to_string(i) + std::string(chance_.below(90), 'x');
      wire_ += frame(text, data, {.last = false}) + (chance_.once_in(4) ? frame(ping, "p") : "") + frame(continuation, ";");
      to_server_ += data + ";";
    }
    wire_ += close_frame(1000);
    to_write_ = chance_.below(40);
  }

  simulation_test::outcome result() {
    std::string wrong;
    // Nothing new for so many steps in a row: then something has been forgotten.
    for (int idle = 0; idle != 2000 && !over_; ++idle) {
      if (step()) idle = 0;
    }
    here_.arrived += here_.link->receive(SIZE_MAX);
    while (auto const one = take_frame(here_.arrived)) {
      if (one->opcode == text) got_ += one->payload + ";";
      if (one->opcode == -2) wrong = "an invalid frame";
    }
    if (!over_) wrong = "the connection has not ended";
    else if (seen_ != to_server_) wrong = "messages of the client are missing";
    else if (got_ != to_client_) wrong = "messages to the client are missing";
    else if (!here_.link->sees_end() || here_.link->lost()) wrong = "the connection has not ended in order";
    return {wrong, steps_};
  }

private:
  // Returns whether anything happened.
  bool step() {
    std::uint32_t const what = chance_.below(6);
    steps_.add(what);
    switch (what) {
      case 0: {
        std::size_t const taken = here_.link->send(std::string_view(wire_).substr(sent_, 1 + chance_.below(100)));
        sent_ += taken;
        return taken != 0;
      }
      case 1: {
        std::string const more = here_.link->receive(1 + chance_.below(100));
        here_.arrived += more;
        if (sent_ == wire_.size() && here_.link->sees_end() && !left_) {
          left_ = true;
          here_.link->end();
        }
        return !more.empty();
      }
      case 2: {
        if (written_ == to_write_) return false;
        std::string const data = std::to_string(written_) + std::string(chance_.below(90), 'y');
        if (!here_.socket->write(server::opcode::text, data)) {
          written_ = to_write_;
          return false;
        }
        ++written_;
        to_client_ += data + ";";
        return true;
      }
      case 3: {
        auto const one = here_.take_event();
        if (one.what == kind::message) seen_ += one.data;
        closed_ |= one.what == kind::close;
        over_ = closed_ && here_.http.connections() == 0;
        return one.what != kind::none;
      }
      default: {
        bool const did = here_.http.first_thread().context().poll_one() != 0;
        here_.http.first_thread().context().restart();
        return did;
      }
    }
  }

  stress::dice chance_;
  talk here_;
  simulation_test::trace steps_;
  std::string wire_, to_server_, to_client_, seen_, got_;
  std::size_t sent_ = 0;
  std::size_t written_ = 0;
  std::size_t to_write_ = 0;
  bool left_ = false;
  bool closed_ = false;  // the last event has been handled ...
  bool over_ = false;    // ... and nothing is left of the connection
};

}  // namespace

TEST_CASE("everything arrives in order, whatever the transport does") {
  simulation_test::run_seeds(500, [](std::uint32_t seed) { return run(seed).result(); });
}
