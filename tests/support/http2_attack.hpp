// SPDX-License-Identifier: MIT
//
// A client of HTTP/2 that keeps to no rule.

#pragma once

#include "frozen_clock.hpp"
#include "http2_frames.hpp"
#include "http2_talk.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace http2_test {

/// An attack writes its frames itself, and looks at the server's for the end only. Its budget does not grow with time.
class attack {
public:
  explicit attack(kino::server::options chosen = http_server_test::patient_settings()) : here(std::move(chosen)), wire(here.connect()) {
    send(std::string(preface) + frame(settings, 0, 0) + frame(settings, 1, 0));
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      bytes.remove_prefix(wire->send(bytes));
      settle();
    }
  }
  // Sends until the server has had enough. Returns the number of calls of `make`.
  template <class Make>
  int send_until_ended(int most, Make make) {
    for (int i = 0; i < most; ++i) {
      send(make(static_cast<std::uint32_t>(i)));
      if (ended()) return i;
    }
    return most;
  }
  [[nodiscard]] bool ended() const { return (goaway_ && (goaways_end || error_ != 0)) || wire->closed() || wire->sees_end(); }
  // Whether it ended because there was too much.
  [[nodiscard]] bool calmed() const { return goaway_ && error_ == NGHTTP2_ENHANCE_YOUR_CALM; }
  [[nodiscard]] bool serves_others() { return here.serves_others(); }

  talk here;
  std::shared_ptr<memory_test::memory_link> const wire;
  bool reads = true;
  bool goaways_end = true;  // one without an error does, too

private:
  frozen_clock const time_;

  void settle() {
    for (bool moved = true; moved;) {
      moved = here.io();
      std::string const got = reads ? wire->receive(SIZE_MAX) : std::string();
      moved |= !got.empty();
      got_ += got;
    }
    while (auto const next = take_frame(got_)) {
      if (next->type != goaway) continue;
      goaway_ = true;
      error_ = next->number_at(4);
    }
  }

  std::string got_;
  bool goaway_ = false;
  std::uint32_t error_ = 0;
};

}  // namespace http2_test
