// SPDX-License-Identifier: MIT
//
// Tells several observers of the same exchanges.

#pragma once

#include "http/observer.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace kino::server {

/// An observer_list passes what it is told on to each of its observers, in order.
///
/// Threads, blocking and errors are theirs.
class observer_list final : public observer {
public:
  explicit observer_list(std::vector<std::shared_ptr<observer>> all) : all_(std::move(all)) {}

  /// One observer for all of `all`: null, that one, or a list.
  [[nodiscard]] static std::shared_ptr<observer> of(std::vector<std::shared_ptr<observer>> all) {
    if (all.empty()) return nullptr;
    if (all.size() == 1) return all.front();
    return std::make_shared<observer_list>(std::move(all));
  }

  void ended(exchange_report const& report) noexcept override {
    for (auto const& each : all_) each->ended(report);
  }

private:
  std::vector<std::shared_ptr<observer>> const all_;
};

}  // namespace kino::server
