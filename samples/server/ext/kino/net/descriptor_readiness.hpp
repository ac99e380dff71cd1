// SPDX-License-Identifier: MIT
//
// descriptor_readiness: asks the kernel when a descriptor is ready.

#pragma once

#include "base/readiness.hpp"
#include "net/handler_memory.hpp"

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <optional>
#include <utility>

namespace kino::server {

/// A descriptor_readiness asks the kernel, through Asio, about a descriptor that it does not own.
///
/// Errors: the constructor and `wait` throw std::system_error or std::bad_alloc.
class descriptor_readiness final : public readiness {
public:
  descriptor_readiness(asio::io_context& context, int descriptor) : events_(std::in_place, context, descriptor) {}
  ~descriptor_readiness() override { stop(); }

  void wait(event what, reference to) override;
  void stop() noexcept override;

private:
  handler_memory read_memory_;
  handler_memory write_memory_;
  // Gone once stopped: what is left of the connection may outlive the I/O thread.
  std::optional<asio::posix::stream_descriptor> events_;
};

}  // namespace kino::server
