// SPDX-License-Identifier: MIT
//
// Replaces kino's header of this name on the model checker's include path by a queue that is not part of the model. It has
// no memory ordering of its own, so kino must provide all of it.

#pragma once

#include <kino/detail/config.hpp>

#include <deque>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

template <class T>
class concurrent_queue {
public:
  bool enqueue(T&& value) {
    values_.push_back(std::move(value));
    return true;
  }
  bool try_dequeue(T& out) {
    if (values_.empty()) return false;
    out = std::move(values_.front());
    values_.pop_front();
    return true;
  }

private:
  std::deque<T> values_;
};

}  // namespace detail
KINO_NAMESPACE_END
