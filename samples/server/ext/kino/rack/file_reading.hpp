// SPDX-License-Identifier: MIT
//
// Reading the file of a response on a Ruby thread.

#pragma once

#include "base/file_range.hpp"

#include <kino/gvl.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace kino::server {

/// Reads a piece of a file: what is in the system's cache at once, everything else with the GVL released. Returns its length.
/// Throws: std::system_error; raises EOFError if the file has none there.
[[nodiscard]] std::size_t read_file(gvl const& held, int descriptor, std::span<char> into, std::uint64_t offset);

/// See file_range::of; the GVL is released if the disk has to read.
[[nodiscard]] std::optional<file_range> range_of(gvl const& held, int descriptor, std::uint64_t offset, std::uint64_t length);

}  // namespace kino::server
