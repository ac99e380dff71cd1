// SPDX-License-Identifier: MIT

#include "websocket/websocket_turn.hpp"

#include "websocket/compression.hpp"
#include "websocket/websocket.hpp"

namespace kino::server {

websocket_turn::~websocket_turn() {
  if (auto const dropped = std::exchange(of_, nullptr)) dropped->abandon_turn();
}

bool websocket_turn::takes_long() const noexcept { return of_->next_compressed() >= long_to_decompress; }

websocket_event websocket_turn::take() noexcept { return of_->take_event(); }

void websocket_turn::finish() noexcept {
  if (auto const done = std::exchange(of_, nullptr)) done->finish_turn();
}

void websocket_turn::discard() noexcept {
  if (auto const done = std::exchange(of_, nullptr)) done->discard_turns();
}

void websocket_line::push_back(websocket_turn&& turn) noexcept {
  websocket* const added = turn.of().get();
  (first_ ? last_->next_in_line_ : first_) = std::move(turn);
  last_ = added;
}

void websocket_line::push_front(websocket_turn&& turn) noexcept {
  websocket* const added = turn.of().get();
  if (!first_) last_ = added;
  added->next_in_line_ = std::move(first_);
  first_ = std::move(turn);
}

websocket_turn websocket_line::pop_front() noexcept {
  websocket_turn taken = std::move(first_);
  first_ = std::move(taken.of()->next_in_line_);
  return taken;
}

websocket_line::~websocket_line() {
  while (!empty()) static_cast<void>(pop_front());
}

}  // namespace kino::server
