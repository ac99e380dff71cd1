// SPDX-License-Identifier: MIT

#include "websocket/kept_frames.hpp"

#include "http/response.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace kino::server {

// What is known of one frame: the length of a copy, or that it is a reference.
class kept_frames::entry {
public:
  entry(std::size_t copied, bool message) : bits_(static_cast<std::uint16_t>(copied | (message ? message_bit : 0U))) {}
  static entry reference(bool message) { return {reference_bit, message}; }

  [[nodiscard]] bool message() const { return (bits_ & message_bit) != 0; }
  [[nodiscard]] bool refers() const { return (bits_ & reference_bit) != 0; }
  [[nodiscard]] std::size_t copied() const { return bits_ & (reference_bit - 1U); }

private:
  static constexpr unsigned message_bit = 1U << 15;
  static constexpr unsigned reference_bit = 1U << 14;
  static_assert(most_joined < reference_bit);

  std::uint16_t bits_;
};

// Copies and references from its start, and their entries from its end.
struct kept_frames::block {
  static constexpr std::size_t cache_line = 64;
  static constexpr std::size_t smallest = 2 * cache_line;
  static constexpr std::size_t largest = 65 * cache_line;
  // What the allocator adds to a block, whose size includes it.
  static constexpr std::size_t allocator = 2 * sizeof(void*);

  block* next = nullptr;
  std::uint16_t const size;      // of its room, which follows
  std::uint16_t begin = 0;       // of the first frame that is left
  std::uint16_t end = 0;         // of the last one
  std::uint16_t gone = 0;        // frames that are not left
  std::uint16_t count = 0;       // all frames
  std::uint16_t references = 0;  // that are left

  explicit block(std::size_t room) : size(static_cast<std::uint16_t>(room)) {}

  static constexpr std::size_t memory(std::size_t room) { return sizeof(block) + room + allocator; }
  static constexpr std::size_t aligned(std::size_t place) { return (place + alignof(shared_frame) - 1) & ~(alignof(shared_frame) - 1); }

  [[nodiscard]] char* at(std::size_t place) { return reinterpret_cast<char*>(this + 1) + place; }
  [[nodiscard]] shared_frame& reference(std::size_t place) {
    return *std::launder(reinterpret_cast<shared_frame*>(at(aligned(place))));
  }
  [[nodiscard]] entry& of(std::size_t frame) { return *std::launder(reinterpret_cast<entry*>(at(size) - (frame + 1) * sizeof(entry))); }
  [[nodiscard]] bool has_room(std::size_t needed) const { return end + needed + (count + 1U) * sizeof(entry) <= size; }
  void add(entry one, std::size_t until) {
    new (at(size) - (count + 1U) * sizeof(entry)) entry(one);
    ++count;
    end = static_cast<std::uint16_t>(until);
  }
};

namespace {

// What a reference takes in a block, wherever that ends.
constexpr std::size_t reference_room = sizeof(shared_frame) + alignof(shared_frame) - 1;

// A frame that is referred to, so many bytes long: a string in memory whose users are counted.
std::size_t memory_of(std::size_t length) { return length + sizeof(std::string) + 7 * sizeof(void*); }

}  // namespace

// The room of another block: twice the last one, and an odd number of cache lines. The blocks of many clients lie one behind the
// other and are filled at the same pace; if they were pages, their ends would be in the same few places of the cache.
std::size_t kept_frames::next_room(std::size_t needed) const {
  constexpr std::size_t beside = block::memory(0);
  auto const next = [](std::size_t size) { return std::min(2 * size - block::cache_line, block::largest); };
  std::size_t size = last_ ? next(block::memory(last_->size)) : block::smallest;
  while (size - beside < needed + sizeof(entry)) size = next(size);
  return size - beside;
}

std::size_t kept_frames::cost(std::size_t length, shared_frame const* whole) const {
  bool const copied = copies(length, whole != nullptr);
  std::size_t const needed = copied ? length : reference_room;
  std::size_t const added = last_ && last_->has_room(needed) ? 0 : block::memory(next_room(needed));
  return added + (copied ? 0 : memory_of(whole ? (*whole)->capacity() : length));
}

// The last block, or another one.
kept_frames::block& kept_frames::with_room(std::size_t needed) {
  if (last_ && last_->has_room(needed)) return *last_;
  std::size_t const room = next_room(needed);
  auto* const made = new (::operator new(sizeof(block) + room)) block(room);
  (last_ ? last_->next : first_) = made;
  memory_ += block::memory(room);
  return *(last_ = made);
}

void kept_frames::add(std::span<iovec const> pieces, std::size_t length, shared_frame const* whole, bool message) {
  if (copies(length, whole != nullptr)) {
    block& in = with_room(length);
    std::size_t end = in.end;
    for (iovec const& one : pieces) {
      std::memcpy(in.at(end), one.iov_base, one.iov_len);
      end += one.iov_len;
    }
    in.add({length, message}, end);
  } else if (whole) {
    refer(*whole, message);
  } else {
    auto const copy = std::make_shared<std::string>();
    copy->reserve(length);
    for (iovec const& one : pieces) copy->append(static_cast<char const*>(one.iov_base), one.iov_len);
    refer(copy, message);
  }
  messages_ += message ? 1 : 0;
}

void kept_frames::refer(shared_frame frame, bool message) {
  block& in = with_room(reference_room);
  memory_ += memory_of(frame->capacity());
  std::size_t const place = block::aligned(in.end);
  new (in.at(place)) shared_frame(std::move(frame));
  in.add(entry::reference(message), place + sizeof(shared_frame));
  ++in.references;
}

std::size_t kept_frames::first(std::span<iovec> into) const {
  std::size_t count = 0;
  std::size_t skipped = offset_;
  for (block* in = first_; in && count != into.size(); in = in->next) {
    if (in->references == 0) {
      std::size_t const begin = in->begin + std::exchange(skipped, 0);
      into[count++] = {in->at(begin), in->end - begin};
      continue;
    }
    std::size_t place = in->begin;
    bool copied = false;  // the frame before is, and the last piece
    for (std::size_t i = in->gone; i != in->count; ++i) {
      entry const one = in->of(i);
      if (one.refers()) {
        if (count == into.size()) return count;
        into[count++] = piece(std::string_view(*in->reference(place)).substr(std::exchange(skipped, 0)));
        place = block::aligned(place) + sizeof(shared_frame);
      } else if (copied) {
        into[count - 1].iov_len += one.copied();
        place += one.copied();
      } else {
        if (count == into.size()) return count;
        std::size_t const left = one.copied() - skipped;
        into[count++] = {in->at(place + std::exchange(skipped, 0)), left};
        place += one.copied();
      }
      copied = !one.refers();
    }
  }
  return count;
}

void kept_frames::consume(std::size_t length) noexcept {
  offset_ += length;
  while (first_) {
    entry const one = first_->of(first_->gone);
    std::size_t const size = one.refers() ? first_->reference(first_->begin)->size() : one.copied();
    if (offset_ < size) return;
    offset_ -= size;
    drop_first();
  }
}

void kept_frames::drop_first() noexcept {
  block& in = *first_;
  entry const one = in.of(in.gone);
  if (one.refers()) {
    shared_frame& frame = in.reference(in.begin);
    memory_ -= memory_of(frame->capacity());
    std::destroy_at(&frame);
    in.begin = static_cast<std::uint16_t>(block::aligned(in.begin) + sizeof(shared_frame));
    --in.references;
  } else {
    in.begin = static_cast<std::uint16_t>(in.begin + one.copied());
  }
  messages_ -= one.message() ? 1 : 0;
  if (++in.gone == in.count) drop_block();
}

void kept_frames::drop_block() noexcept {
  block* const dropped = std::exchange(first_, first_->next);
  if (!first_) last_ = nullptr;
  memory_ -= block::memory(dropped->size);
  std::destroy_at(dropped);
  ::operator delete(dropped);
}

void kept_frames::clear() noexcept {
  while (first_) {
    // A block without references is dropped as a whole.
    if (first_->references == 0) drop_block();
    else drop_first();
  }
  offset_ = memory_ = messages_ = 0;
}

}  // namespace kino::server
