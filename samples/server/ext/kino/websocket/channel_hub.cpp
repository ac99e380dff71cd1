// SPDX-License-Identifier: MIT

#include "websocket/channel_hub.hpp"

#include "websocket/compression.hpp"
#include "websocket/event_stream.hpp"
#include "websocket/websocket.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

bool matches_pattern(std::string_view pattern, std::string_view name) noexcept {
  std::size_t p = 0, n = 0;
  std::size_t star = pattern.npos;  // the last one, and where the rest of the name began when it was tried last
  std::size_t tried = 0;
  while (n != name.size()) {
    bool const quoted = p + 1 < pattern.size() && pattern[p] == '\\';
    if (p != pattern.size() && !quoted && pattern[p] == '*') {
      star = p++;
      tried = n;
    } else if (p != pattern.size() && (quoted ? pattern[p + 1] == name[n] : pattern[p] == '?' || pattern[p] == name[n])) {
      p += quoted ? 2 : 1;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++tried;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

std::size_t channel_hub::publication::send(std::string_view data) {
  for (std::size_t i = 0; i != dialects; ++i) {
    auto const one = static_cast<dialect>(i);
    if (wanted_[i]) forms_[i] = one == dialect::events ? encode_event(data) : encode_message(kind_, data, one);
  }
  return static_cast<std::size_t>(std::count_if(
      to_.begin(), to_.end(), [this](auto const& each) { return each->write(forms_[static_cast<std::size_t>(each->speaks())]); }));
}

bool channel_hub::publication::takes_long(std::size_t size) const {
  constexpr std::size_t few = 8;
  return to_.size() > few || std::any_of(to_.begin(), to_.end(), [size](auto const& each) { return each->takes_long_to_write(size); });
}

void channel_hub::publication::add(std::shared_ptr<websocket>&& open) {
  if (open->speaks() == dialect::events && kind_ != opcode::text) return;
  bool& wanted = wanted_[static_cast<std::size_t>(open->speaks())];
  to_.push_back(std::move(open));
  wanted = true;
}

bool channel_hub::subscribe(std::shared_ptr<websocket> const& who, std::string_view channel, match how) {
  {
    channel_map& in = how == match::name ? named_ : patterns_;
    std::lock_guard guard(mutex_);
    std::vector<subscription>& own = subscriptions_[who.get()];
    own.reserve(own.size() + 1);
    auto found = in.find(channel);
    try {
      if (found == in.end()) found = in.emplace(channel, members()).first;
      if (found->second.emplace(who.get(), who).second) own.push_back({&in, found});
    } catch (...) {
      if (found != in.end() && found->second.empty()) in.erase(found);
      if (own.empty()) subscriptions_.erase(who.get());
      throw;
    }
  }
  // After it is in: if the connection ends now, one of the two sees the other.
  if (who->join(*this)) return true;
  forget(*who);
  return false;
}

// With the lock.
void channel_hub::remove(subscription const& one, websocket const& who) noexcept {
  one.channel->second.erase(&who);
  if (one.channel->second.empty()) one.in->erase(one.channel);
}

bool channel_hub::unsubscribe(websocket const& who, std::string_view channel, match how) noexcept {
  channel_map& in = how == match::name ? named_ : patterns_;
  std::lock_guard guard(mutex_);
  auto const own = subscriptions_.find(&who);
  if (own == subscriptions_.end()) return false;
  auto const found = std::find_if(own->second.begin(), own->second.end(), [&](subscription const& each) {
    return each.in == &in && each.channel->first == channel;
  });
  if (found == own->second.end()) return false;
  remove(*found, who);
  *found = own->second.back();
  own->second.pop_back();
  if (own->second.empty()) subscriptions_.erase(own);
  return true;
}

void channel_hub::forget(websocket const& gone) noexcept {
  std::lock_guard guard(mutex_);
  auto const own = subscriptions_.find(&gone);
  if (own == subscriptions_.end()) return;
  for (subscription const& each : own->second) remove(each, gone);
  subscriptions_.erase(own);
}

channel_hub::publication channel_hub::publish(std::string_view channel, opcode kind) const {
  publication made(kind);
  {
    std::lock_guard guard(mutex_);
    auto const add = [&made](members const& subscribed) {
      for (auto const& [_, member] : subscribed) {
        if (auto open = member.lock()) made.add(std::move(open));
      }
    };
    if (auto const found = named_.find(channel); found != named_.end()) {
      made.to_.reserve(found->second.size());
      add(found->second);
    }
    for (auto const& [pattern, subscribed] : patterns_) {
      if (matches_pattern(pattern, channel)) add(subscribed);
    }
  }
  return made;
}

std::size_t channel_hub::channels() const noexcept {
  std::lock_guard guard(mutex_);
  return named_.size() + patterns_.size();
}

}  // namespace kino::server
