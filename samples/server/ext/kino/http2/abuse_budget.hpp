// SPDX-License-Identifier: MIT
//
// abuse_budget: how much useless work a client may cause.

#pragma once

#include "base/options.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kino::server {

/// What a client of HTTP/2 does that costs the server work and asks for none, or takes it back.
enum class nuisance : std::uint8_t {
  reset,            ///< It resets a stream whose response it has not got (rapid reset).
  provoked_reset,   ///< It makes the server reset a stream (made-you-reset).
  refused_stream,   ///< It opens one too many.
  ping,             ///< ... or the answer to one.
  settings,
  priority,
  window_update,
  goaway,
  continuation,
  unknown,          ///< A frame of a type that the server does not know.
  empty_data,       ///< DATA without a byte and without an end.
  padded_data,      ///< DATA that is padding for the most part.
  stray_data,       ///< DATA on a stream that has ended or is not served, more than can have been on its way.
  late_header,      ///< A header or trailers on a stream that the server has ended, or does not serve any more.
};

/// An abuse_budget counts the nuisances of one connection. A client has a budget for a burst of them, which grows again
/// with time, and with what the client reads; each costs as much as its work.
///
/// Some clients send two WINDOW_UPDATEs and a PING for every message, however small: to open the windows of stream and
/// connection, and to measure the bandwidth; and browsers send a small frame of an unknown type before each of a body, so
/// that servers go on to ignore these. So each frame of a body entitles its receiver or sender to a few, which are free.
/// They cannot be saved up for long, nor be exchanged for anything else.
///
/// Threads: one at a time.
class abuse_budget {
public:
  /// The cost of all nuisances that a client may cause at once, and in each second.
  static constexpr double burst = 1000;
  static constexpr double rate = 100;

  /// Counts one, with `bytes` that are of no use. False if the client has spent its budget: then its connection is to be
  /// ended.
  [[nodiscard]] bool spend(nuisance what, std::size_t bytes, clock::time_point now) {
    std::chrono::duration<double> const passed = now - at_;
    at_ = now;
    left_ = std::min(burst, left_ + passed.count() * rate);
    left_ -= static_cast<double>(bytes) / useless_bytes_per_point;
    bool const feedback = what == nuisance::window_update || what == nuisance::ping || what == nuisance::unknown;
    if (feedback && free_feedback_ != 0) {
      --free_feedback_;
    } else {
      left_ -= cost(what);
    }
    return left_ >= 0;
  }
  /// Counts a frame of a request's body that has come, or of a response's that ends all that there is of it by now. A
  /// frame that is small because the client opens its window by a few bytes at a time is none of these.
  void exchanged() { free_feedback_ = std::min(most_free_feedback, free_feedback_ + feedback_per_frame); }
  /// Counts a response that is complete.
  void answered() { left_ = std::min(burst, left_ + points_per_response); }
  /// Counts bytes of responses that the client takes.
  void earn(std::size_t bytes) { left_ = std::min(burst, left_ + static_cast<double>(bytes) / bytes_per_point); }

private:
  static constexpr double bytes_per_point = 5000;  // a window_update for every 500 bytes
  static constexpr double useless_bytes_per_point = 1000;  // 1 MB at once, and 100 KB in each second
  static constexpr double points_per_response = 1; // one request in six may be reset
  static constexpr unsigned feedback_per_frame = 3;
  static constexpr unsigned most_free_feedback = 1000;

  static constexpr double cost(nuisance what) {
    switch (what) {
      case nuisance::reset: return 5;
      case nuisance::provoked_reset: return 10;
      case nuisance::refused_stream: return 2;  // a client does not know the limit from the beginning
      case nuisance::settings: return 5;
      case nuisance::empty_data: return 5;
      case nuisance::ping: return 2;
      case nuisance::goaway: return 5;
      case nuisance::continuation: return 1;
      case nuisance::unknown: return 1;  // as many as PRIORITY, which is such a frame by now (RFC 9218)
      case nuisance::padded_data: return 0;  // for its bytes only
      case nuisance::stray_data: return 1;
      case nuisance::priority: return 1;
      case nuisance::window_update: return 0.1;
      case nuisance::late_header: return 2;
    }
    return 0;
  }

  double left_ = burst;
  unsigned free_feedback_ = 0;
  clock::time_point at_{};
};

}  // namespace kino::server
