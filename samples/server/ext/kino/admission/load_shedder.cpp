// SPDX-License-Identifier: MIT

#include "admission/load_shedder.hpp"

#include <algorithm>
#include <mutex>

namespace kino::server {

bool load_shedder::refuses(clock::duration waited, clock::time_point now) noexcept {
  if (!enabled()) return false;
  std::lock_guard guard(mutex_);
  if (now < end_) {
    least_ = std::min(least_, waited);
  } else {
    // What an older interval has shown counts no more; but a request that has waited for a whole one was in a long queue.
    bool const recent = now - end_ < interval();
    overloaded_ = recent ? least_ > target_ : waited > interval();
    least_ = waited;
    end_ = now + interval();
  }
  if (waited <= target_) overloaded_ = false;
  return overloaded_ && waited > 2 * target_;
}

}  // namespace kino::server
