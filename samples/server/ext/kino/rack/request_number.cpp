// SPDX-License-Identifier: MIT

#include "rack/request_number.hpp"

#include <kino/leaf_mutex.hpp>

#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace kino::server {

namespace {
// A number is a place and, above that, the count of its requests: at a million requests a second, enough for half a year
// on each place.
constexpr unsigned place_bits = 20;
constexpr std::size_t most_places = std::size_t{1} << place_bits;
constexpr std::size_t block_size = 1024;
}  // namespace

// Places are used again, but never freed: numbers outlive their server, and counts go on.
struct request_number::place {
  // relaxed: a number matches only in the Ractor of its worker, whose GVL orders the rest.
  std::atomic<std::uint64_t> current{0};  // 0: none
  std::uint64_t count = 0;
  worker_context* at = nullptr;
};

class request_number::table {
public:
  [[nodiscard]] std::size_t take() {
    std::lock_guard guard(mutex_);
    if (free_.empty()) grow();
    std::size_t const taken = free_.back();
    free_.pop_back();
    return taken;
  }
  void give_back(std::size_t index) noexcept {
    std::lock_guard guard(mutex_);
    free_.push_back(index);  // has room for all
  }
  [[nodiscard]] place* find(std::size_t index) const noexcept {
    // acquire: pairs with the release in grow.
    place* const block = blocks_[index / block_size].load(std::memory_order_acquire);
    return block ? block + index % block_size : nullptr;
  }

private:
  void grow() {
    if (places_ == most_places) throw std::length_error("kino: too many workers in one process");
    free_.reserve(places_ + block_size);
    // release: pairs with the acquire in find.
    blocks_[places_ / block_size].store(new place[block_size], std::memory_order_release);
    places_ += block_size;
    for (std::size_t i = 1; i <= block_size; ++i) free_.push_back(places_ - i);
  }

  kino::leaf_mutex mutex_;
  std::array<std::atomic<place*>, most_places / block_size> blocks_{};
  std::vector<std::size_t> free_;
  std::size_t places_ = 0;
};

request_number::table& request_number::all() {
  static table& only = *new table;  // never destroyed: workers may still be on their way out
  return only;
}

request_number::request_number(worker_context& of) : index_(all().take()), place_(*all().find(index_)) { place_.at = &of; }

request_number::~request_number() {
  end();
  place_.at = nullptr;
  all().give_back(index_);
}

void request_number::next() noexcept {
  place_.current.store((++place_.count << place_bits) | index_, std::memory_order_relaxed);  // see place
}

void request_number::end() noexcept { place_.current.store(0, std::memory_order_relaxed); }  // see place

std::uint64_t request_number::value() const noexcept { return (place_.count << place_bits) | index_; }

worker_context* request_number::find(std::uint64_t number) noexcept {
  place const* const named = all().find(number % most_places);
  bool const current = named && number != 0 && named->current.load(std::memory_order_relaxed) == number;  // see place
  return current ? named->at : nullptr;
}

}  // namespace kino::server
