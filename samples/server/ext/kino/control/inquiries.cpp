// SPDX-License-Identifier: MIT

#include "control/inquiries.hpp"

#include <algorithm>

namespace kino::server {

inquiries::inquiries(io_thread& home)
    : alarm_(home.deadlines(), [this] { look(); }), arrival_(home.notices(), [this] { deliver(); }) {}

bool inquiries::ask(std::string subject, std::string detail, receiver then) {
  std::uint64_t const number = ++last_number_;
  inquiry question{number, std::move(subject), std::move(detail)};
  if (questions_.try_push(std::move(question)) != kino::push_result::pushed) return false;
  waiting_.emplace(number, waiting{clock::now() + patience, std::move(then)});
  if (waiting_.size() == 1) set_alarm();  // or an earlier one is due first
  return true;
}

void inquiries::set_alarm() noexcept {
  alarm_at_ = waiting_.begin()->second.until;
  alarm_.set(alarm_at_);
}

void inquiries::answer(std::uint64_t number, std::optional<std::string> text) {
  {
    std::lock_guard guard(mutex_);
    answers_.emplace_back(number, std::move(text));
  }
  arrival_.send();
}

void inquiries::deliver() noexcept {
  decltype(answers_) arrived;
  {
    std::lock_guard guard(mutex_);
    arrived.swap(answers_);
  }
  for (auto const& [number, text] : arrived) {
    auto const found = waiting_.extract(number);
    if (found) found.mapped().then(text);
  }
}

void inquiries::look() noexcept {
  clock::time_point const now = std::max(clock::now(), alarm_at_);
  while (!waiting_.empty() && waiting_.begin()->second.until <= now) {
    waiting_.extract(waiting_.begin()).mapped().then(std::nullopt);
  }
  if (!waiting_.empty()) set_alarm();
}

}  // namespace kino::server
