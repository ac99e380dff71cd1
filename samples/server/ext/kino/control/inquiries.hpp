// SPDX-License-Identifier: MIT
//
// What the control plane asks Ruby, and how long it waits for an answer.

#pragma once

#include "base/deadline.hpp"
#include "net/io_thread.hpp"
#include "net/notice.hpp"

#include <kino/channel.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kino::server {

/// A question for Ruby: what it is about, and more about that.
struct inquiry {
  std::uint64_t number = 0;
  std::string subject;
  std::string detail;
};

/// An inquiries passes questions to a Ruby thread and its answers back. Ruby may be busy with anything, such as a thread that
/// keeps the GVL: then `ask` reports that there is no answer, after a bounded time, and drops the answer that comes later.
///
/// Threads: `ask` and the functions that it is given: the thread of `home`; `questions` and `answer`: any; `close`: any, once
///          `home` has stopped.
/// Blocks:  never.
/// Throws:  std::bad_alloc, from `ask` and `answer`.
class inquiries {
public:
  /// Called with the answer, or without one; must not throw.
  using receiver = std::function<void(std::optional<std::string> const&)>;

  static constexpr std::chrono::seconds patience{1};
  /// Questions that Ruby has not looked at; further ones are refused.
  static constexpr std::size_t capacity = 64;

  explicit inquiries(io_thread& home);
  inquiries(inquiries const&) = delete;

  /// Asks, and calls `then` once, later. False if too many questions wait already; `then` is not called then.
  [[nodiscard]] bool ask(std::string subject, std::string detail, receiver then);

  /// From which Ruby takes the questions; closed by `close`.
  [[nodiscard]] kino::channel<inquiry>& questions() { return questions_; }
  /// Answers a question; nullopt: it cannot be answered. Ignored if that comes too late.
  void answer(std::uint64_t number, std::optional<std::string> text);

  /// Ruby is told to ask no more.
  void close() { questions_.close(); }
  /// Destroys the functions that wait for answers, without calling them.
  void drop() { waiting_.clear(); }

private:
  struct waiting {
    clock::time_point until;
    receiver then;
  };

  void set_alarm() noexcept;
  void deliver() noexcept;
  void look() noexcept;

  kino::channel<inquiry> questions_{capacity};
  // The thread's own, in the order of their numbers and of their times.
  std::map<std::uint64_t, waiting> waiting_;
  std::uint64_t last_number_ = 0;
  clock::time_point alarm_at_{};
  deadline alarm_;

  std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, std::optional<std::string>>> answers_;  // guarded
  notice arrival_;
};

}  // namespace kino::server
