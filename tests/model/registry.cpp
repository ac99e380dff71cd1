// SPDX-License-Identifier: MIT
//
// registry: an id refers to a complete object or to none, and an object is destroyed after its last use.

#include "model.hpp"

#include <kino/registry.hpp>

namespace {

// relacy reports a race if a thread can access an object during its construction or destruction.
struct object {
  rl::var<int> content;
  int* deaths;
  object(int value, int& counter) : deaths(&counter) { content(RL_INFO) = value; }
  ~object() {
    content(RL_INFO) = 0;
    ++*deaths;
  }
  int read() { return static_cast<int>(content(RL_INFO)); }
};

// The id is passed without memory ordering, as an integer in a Ruby object might be.
struct publishing : rl::test_suite<publishing, 2> {
  kino::registry<object> registry;
  kino::detail::atomic<std::uint64_t> id{0};
  int deaths = 0;

  void before() { registry.erase(registry.insert(0, deaths)); }
  void thread(unsigned index) {
    if (index == 0) {
      id.store(registry.insert(1, deaths), std::memory_order_relaxed);
      return;
    }
    for (int tries = 0; tries < 8; ++tries) {
      if (auto pin = registry.find(id.load(std::memory_order_relaxed))) {
        RL_ASSERT(pin->read() == 1);
        return;
      }
    }
  }
};

// Two threads use and erase the same id, and one inserts an object that reuses the place.
struct erasing : rl::test_suite<erasing, 3> {
  kino::registry<object> registry;
  std::uint64_t id = 0;
  int deaths = 0;
  int erased = 0;

  void before() { id = registry.insert(1, deaths); }
  void thread(unsigned index) {
    if (index == 2) {
      auto const next = registry.insert(2, deaths);
      auto pin = registry.find(next);
      RL_ASSERT(pin);
      RL_ASSERT(pin->read() == 2);
      return;
    }
    if (auto pin = registry.find(id)) RL_ASSERT(pin->read() == 1);
    if (registry.erase(id)) ++erased;
  }
  void after() {
    RL_ASSERT(erased == 1);
    RL_ASSERT(deaths == 1);
    RL_ASSERT(!registry.find(id));
  }
};

// for_each beside an erase and an insert visits only complete objects, and the permanent one exactly once.
struct walking : rl::test_suite<walking, 3> {
  kino::registry<object> registry;
  std::uint64_t stays = 0;
  std::uint64_t goes = 0;
  int deaths = 0;

  void before() {
    stays = registry.insert(1, deaths);
    goes = registry.insert(2, deaths);
  }
  void thread(unsigned index) {
    if (index == 1) {
      RL_ASSERT(registry.erase(goes));
    } else if (index == 2) {
      static_cast<void>(registry.insert(3, deaths));
    } else {
      int visits = 0;
      registry.for_each([&](std::uint64_t id, object& each) {
        int const content = each.read();
        RL_ASSERT(content == (id == stays ? 1 : id == goes ? 2 : 3));
        visits += id == stays;
      });
      RL_ASSERT(visits == 1);
    }
  }
  void after() { RL_ASSERT(deaths == 1); }
};

}  // namespace

int main() {
  return model::verdict(model::holds<publishing>("publishing", 20'000) &&
                        model::holds<erasing>("erasing", 30'000) &&
                        model::holds<walking>("walking", 10'000));
}
