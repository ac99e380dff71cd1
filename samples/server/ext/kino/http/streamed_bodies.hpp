// SPDX-License-Identifier: MIT
//
// streamed_bodies: selects the requests that reach the application before their body has arrived.

#pragma once

#include "http/request.hpp"

#include <string>
#include <vector>

namespace kino::server {

/// streamed_bodies is the list of the option `stream_body`.
///
/// An entry that begins with a slash is a path, including everything below it. Any other entry is a
/// prefix of a content type, ignoring case: "application/grpc" also matches
/// "application/grpc+proto".
///
/// Threads: any, once constructed.
class streamed_bodies {
public:
  streamed_bodies() = default;
  /// Throws std::invalid_argument for an empty entry.
  explicit streamed_bodies(std::vector<std::string> entries);

  [[nodiscard]] bool match(request const& head) const;

private:
  std::vector<std::string> paths_;
  std::vector<std::string> types_;
};

}  // namespace kino::server
