// SPDX-License-Identifier: MIT
//
// Precedes kino's own header of this name on the model checker's include path: a queue that is not
// part of the model. It orders nothing, so any order is established by kino.

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
