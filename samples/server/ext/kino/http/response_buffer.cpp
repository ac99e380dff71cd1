// SPDX-License-Identifier: MIT

#include "http/response_buffer.hpp"

#include "base/log.hpp"
#include "base/options.hpp"

#include <exception>
#include <string>

namespace kino::server {

void response_buffer::keep(std::string_view bytes, overflow const& to) {
  while (!bytes.empty()) {
    std::string_view const some = bytes.substr(0, tuning::write_buffer);
    append(some);
    bytes.remove_prefix(some.size());
    if (above_high_watermark() && size() <= to.most && !disk_failed_) spill_to(to);
  }
}

bool response_buffer::above_high_watermark() const { return appended() > tuning::write_buffer; }

bool response_buffer::make_room(overflow const& to) noexcept {
  constexpr std::size_t enough = tuning::write_buffer / 2;
  if (appended() > enough && size() <= to.most / 2 && !disk_failed_) spill_to(to);
  return appended() <= enough;
}

void response_buffer::clear() noexcept {
  output_buffer::clear(tuning::kept_capacity);
  disk_failed_ = false;
}

void response_buffer::spill_to(overflow const& to) noexcept {
  try {
    spill(to.file);
  } catch (std::exception const& failed) {
    disk_failed_ = true;
    if (to.file.report_failure()) log_line(std::string(failed.what()) + "; responses wait for their clients");
  }
}

}  // namespace kino::server
