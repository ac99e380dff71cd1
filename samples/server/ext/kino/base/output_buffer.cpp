// SPDX-License-Identifier: MIT

#include "base/output_buffer.hpp"

#include "base/options.hpp"

#include <algorithm>

namespace kino::server {

void output_buffer::spill(spool_file& file) {
  if (stored_.empty()) stored_.use(file);
  stored_.append(appended_.view());
  appended_.clear(SIZE_MAX);
}

std::string_view output_buffer::first() {
  if (!front_.empty()) return front_.view();
  if (stored_.empty()) return appended_.view();
  auto const length = static_cast<std::size_t>(std::min<std::uint64_t>(stored_.size(), tuning::read_size));
  stored_.read(0, front_.prepare(length), length);
  front_.commit(length);
  stored_.consume(length);
  return front_.view();
}

void output_buffer::consume(std::size_t length) noexcept {
  (front_.empty() ? appended_ : front_).consume(length);
  if (contiguous()) front_.clear(0);
}

void output_buffer::clear(std::size_t keep) noexcept {
  front_.clear(0);
  stored_.clear();
  appended_.clear(keep);
}

}  // namespace kino::server
