// SPDX-License-Identifier: MIT

#include "mailbox.hpp"

#include <algorithm>
#include <utility>

namespace {

relation& move_relation(relation_map& from, relation_map::iterator which, relation_map& to) noexcept {
  return to.insert(to.end(), from.extract(which))->second;
}

// Relations are few and their changes short; one mutex makes the end of two linked actors at the same time simple.
kino::leaf_mutex& relations_mutex() {
  static kino::leaf_mutex mutex;
  return mutex;
}

}  // namespace

std::atomic<std::uint64_t>& mailbox::last_id() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last;
}

std::size_t mailbox::size() noexcept {
  std::lock_guard guard(mutex_);
  return size_;
}

std::uint64_t mailbox::arrived() noexcept {
  std::lock_guard guard(mutex_);
  return arrived_;
}

delivery mailbox::push(std::unique_ptr<message>& added) {
  born_.expect_same_process("actor");
  {
    std::lock_guard guard(mutex_);
    if (dead_) return delivery::dead;
    if (size_ >= capacity_) return delivery::full;
    messages_.push(std::move(added));
    ++size_;
    ++arrived_;
  }
  wake();
  return delivery::delivered;
}

bool mailbox::push_ahead(std::unique_ptr<message>& added) noexcept {
  if (born_.forked()) return false;
  {
    std::lock_guard guard(mutex_);
    if (dead_) return false;
    (added->kind == message_kind::exit ? signals_ : ahead_).push(std::move(added));
    ++arrived_;
  }
  wake();
  return true;
}

bool mailbox::wake_on_room(std::shared_ptr<mailbox> const& sender) {
  std::vector<std::shared_ptr<mailbox>> room;
  for (;;) {
    {
      std::lock_guard guard(mutex_);
      if (dead_ || size_ < capacity_) return false;
      if (senders_.size() < senders_.capacity()) {
        if (std::find(senders_.begin(), senders_.end(), sender) == senders_.end()) senders_.push_back(sender);
        return true;
      }
      if (room.capacity() > senders_.size()) {
        room.assign(senders_.begin(), senders_.end());
        room.swap(senders_);
        continue;
      }
    }
    room.clear();
    room.reserve(room.capacity() * 2 + 4);  // without the mutex
  }
}

void mailbox::wake() noexcept {
  if (spot_) return spot_->notify();
  if (!queued_.exchange(true)) home_->push(shared_from_this());
}

bool mailbox::finish(kino::shareable reason) noexcept {
  message_list messages;  // destroyed without the mutex
  message_list ahead;
  message_list signals;
  std::vector<std::shared_ptr<mailbox>> senders;
  {
    std::lock_guard guard(mutex_);
    if (dead_) return false;
    reason_ = std::move(reason);
    dead_.store(true, std::memory_order_release);  // pairs with `dead`: the reason is there
    messages_.move_to(messages);
    ahead_.move_to(ahead);
    signals_.move_to(signals);
    size_ = 0;
    senders.swap(senders_);
  }
  current_ = nullptr;
  taken_.reset();
  for (auto const& each : owed_) each.abandon();
  owed_.clear();
  for (auto const& each : senders) each->wake();
  tell_relations();
  return true;
}

// In portions, so that others need not wait for long. A relation is in the map until it is told.
void mailbox::tell_relations() noexcept {
  for (;;) {
    relation_map told;         // destroyed without the mutex
    relation_map other_halves;
    {
      std::lock_guard guard(relations_mutex());
      for (int i = 0; i < 64 && !relations_.empty(); ++i) {
        relation& each = move_relation(relations_, relations_.begin(), told);
        if (each.link) move_relation(each.told->relations_, each.told->relations_.find(told.rbegin()->first), other_halves);
        static_cast<void>(each.told->push_ahead(each.news));
      }
    }
    if (told.empty()) return;
  }
}

void mailbox::watch(std::shared_ptr<mailbox> const& watched, std::shared_ptr<mailbox> const& watcher, std::uint64_t number) {
  watched->born_.expect_same_process("actor");
  auto news = std::make_unique<message>();
  news->kind = message_kind::down;
  news->watch = number;
  news->about = watched;
  relation_map added;
  relation& monitor = added[number];
  monitor.told = watcher;
  monitor.news = std::move(news);
  {
    std::lock_guard guard(relations_mutex());
    // An end that is not seen here finds the relation in the map.
    if (!watched->dead()) return static_cast<void>(move_relation(added, added.begin(), watched->relations_));
  }
  static_cast<void>(watcher->push_ahead(monitor.news));
}

bool mailbox::link(std::shared_ptr<mailbox> const& one, std::shared_ptr<mailbox> const& other, std::uint64_t number) {
  one->born_.expect_same_process("actor");
  relation_map halves[2];
  std::shared_ptr<mailbox> const* ends[] = {&one, &other};
  for (int i = 0; i < 2; ++i) {
    relation& half = halves[i][number];
    half.link = true;
    half.told = *ends[1 - i];
    half.news = std::make_unique<message>();
    half.news->kind = message_kind::exit;
    half.news->about = *ends[i];
  }
  std::lock_guard guard(relations_mutex());
  if (other->dead()) return false;
  if (one->link_with(*other)) return true;
  for (int i = 0; i < 2; ++i) move_relation(halves[i], halves[i].begin(), (*ends[i])->relations_);
  return true;
}

std::size_t mailbox::relation_count() noexcept {
  std::lock_guard guard(relations_mutex());
  return relations_.size();
}

void mailbox::forget(std::uint64_t number) noexcept {
  relation_map forgotten;  // destroyed without the mutex
  std::lock_guard guard(relations_mutex());
  auto const found = relations_.find(number);
  if (found != relations_.end()) move_relation(relations_, found, forgotten);
}

void mailbox::unlink(mailbox& other) noexcept {
  relation_map halves[2];  // destroyed without the mutexes
  message_list signals;
  message_list dropped;
  std::lock_guard guard(relations_mutex());
  if (std::uint64_t const number = link_with(other)) {
    move_relation(relations_, relations_.find(number), halves[0]);
    move_relation(other.relations_, other.relations_.find(number), halves[1]);
  }
  std::lock_guard own(mutex_);
  signals_.move_to(signals);
  while (auto each = signals.take_first()) {
    bool const of_link = each->about.get() == &other && !each->body;
    (of_link ? dropped : signals_).push(std::move(each));
  }
}

// The number of the link between the two; 0 if there is none. With the mutex of the relations. Searches the fewer relations: an
// actor may have many links, the one at the other end of each has few.
std::uint64_t mailbox::link_with(mailbox& other) noexcept {
  bool const own = relations_.size() < other.relations_.size();
  mailbox const* const wanted = own ? &other : this;
  for (auto const& [number, each] : own ? relations_ : other.relations_) {
    if (each.link && each.told.get() == wanted) return number;
  }
  return 0;
}

void mailbox::make_current(std::unique_ptr<message> taken) noexcept {
  taken_ = std::move(taken);
  current_ = taken_.get();
}

bool mailbox::take() noexcept {
  std::unique_ptr<message> taken;
  std::vector<std::shared_ptr<mailbox>> senders;
  {
    std::lock_guard guard(mutex_);
    taken = ahead_.take_first();
    if (!taken && (taken = messages_.take_first())) {
      --size_;
      senders.swap(senders_);
    }
  }
  for (auto const& each : senders) each->wake();
  make_current(std::move(taken));
  return current_;
}

bool mailbox::take_signal() noexcept {
  std::unique_ptr<message> taken;
  {
    std::lock_guard guard(mutex_);
    if (signals_.empty()) return false;
    taken = signals_.take_first();
  }
  make_current(std::move(taken));
  return true;
}

bool mailbox::see_next() noexcept {
  std::lock_guard guard(mutex_);
  current_ = ahead_.see_next();
  seen_ahead_ = current_;
  if (!current_) current_ = messages_.see_next();
  return current_;
}

void mailbox::take_seen() noexcept {
  std::vector<std::shared_ptr<mailbox>> senders;
  std::unique_ptr<message> taken;
  {
    std::lock_guard guard(mutex_);
    taken = (seen_ahead_ ? ahead_ : messages_).take_seen();
    if (!seen_ahead_) {
      --size_;
      senders.swap(senders_);
    }
  }
  for (auto const& each : senders) each->wake();
  make_current(std::move(taken));
}

void mailbox::search_again() noexcept {
  std::lock_guard guard(mutex_);
  messages_.search_again();
  ahead_.search_again();
}

void mailbox::owe_answer() {
  if (owed_.size() >= owed_limit_) {
    std::erase_if(owed_, [](kino::weak_responder const& each) { return each.ended(); });
    owed_limit_ = std::max<std::size_t>(16, owed_.size() * 2);
  }
  owed_.push_back(current_->reply.weak());
}
