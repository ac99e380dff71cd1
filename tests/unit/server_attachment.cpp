// SPDX-License-Identifier: MIT

#include "rack/attachment.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

namespace kino::server {
struct worker_context {
  attachment_slot input;
};
}  // namespace kino::server

using namespace kino::server;

TEST_CASE("an attachment refers to its worker_context until it is replaced or cut") {
  worker_context here;
  attachment first(here.input, here);
  CHECK(first.at() == &here);
  attachment second(here.input, here);
  CHECK(first.at() == nullptr);
  CHECK(second.at() == &here);
  here.input.cut();
  CHECK(second.at() == nullptr);
}

TEST_CASE("an attachment may outlive its worker_context, and a worker_context its attachment") {
  auto here = std::make_unique<worker_context>();
  attachment longer(here->input, *here);
  here.reset();
  CHECK(longer.at() == nullptr);

  worker_context there;
  { attachment shorter(there.input, there); }
  there.input.cut();
}

// Like the collector of Ruby 3.1 to 3.4, which frees the object of one Ractor in a thread of another, while the worker
// ends its request and takes the next.
TEST_CASE("an attachment can be destroyed in one thread while another uses its worker_context") {
  worker_context here;
  std::atomic<attachment*> garbage{nullptr};
  std::atomic<bool> over{false};
  std::thread collector([&] {
    while (!over.load()) delete garbage.exchange(nullptr);
    delete garbage.exchange(nullptr);
  });
  for (int i = 0; i < 20000; ++i) {
    auto made = std::make_unique<attachment>(here.input, here);
    CHECK(made->at() == &here);
    delete garbage.exchange(made.release());
    here.input.cut();
  }
  over = true;
  collector.join();
}
