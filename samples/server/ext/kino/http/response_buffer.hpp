// SPDX-License-Identifier: MIT
//
// The bytes of one response that wait for its client.

#pragma once

#include "base/output_buffer.hpp"
#include "base/spool_file.hpp"

#include <cstdint>
#include <string_view>

namespace kino::server {

/// A response_buffer keeps what a client has not read yet: in memory, and from tuning::write_buffer bytes on in a
/// file.
///
/// Threads: one at a time.
/// Blocks:  as the file system does, if bytes are in the file.
/// Errors:  a file that cannot be written is logged; the bytes then stay in memory, and the writer has to wait.
/// Lifetime: ends before that of the spool_file.
class response_buffer : public output_buffer {
public:
  /// Where bytes go that are too many for memory: at most `most` of each response. See limits::max_response_temp_file.
  struct overflow {
    spool_file& file;
    std::uint64_t most;
  };

  /// Appends bytes. Throws std::bad_alloc; then a part has been appended.
  void keep(std::string_view bytes, overflow const& to);
  /// Whether the writer should wait for the client.
  [[nodiscard]] bool above_high_watermark() const;
  /// Whether a writer that waits may go on. Once half of the file's limit is free, the file takes what the writer has
  /// left in memory; otherwise the writer would have to wait until the file is empty.
  [[nodiscard]] bool make_room(overflow const& to) noexcept;
  /// Prepares for the next response.
  void clear() noexcept;

private:
  void spill_to(overflow const& to) noexcept;

  bool disk_failed_ = false;  // what is beyond memory waits with its writer
};

}  // namespace kino::server
