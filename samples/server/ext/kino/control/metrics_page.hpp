// SPDX-License-Identifier: MIT
//
// The metrics of a server, as Prometheus reads them.

#pragma once

#include "control/control_settings.hpp"
#include "control/control_source.hpp"

#include <kino/stats.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace kino::server {

/// Which format a client wants, by its Accept field.
[[nodiscard]] kino::metrics_text::format metrics_format(std::string_view accept) noexcept;
/// The media type of that format.
[[nodiscard]] std::string_view metrics_type(kino::metrics_text::format written) noexcept;

/// Everything that /metrics has. `ruby`: lines "NAME NUMBER" with what only Ruby can tell; nullopt: it did not answer.
///
/// The number of series depends on the settings alone: not on requests, and not on workers that were replaced.
///
/// Throws: std::bad_alloc.
[[nodiscard]] std::string metrics_page(control_source const& source, control_settings const& facts,
                                       std::optional<std::string> const& ruby, kino::metrics_text::format written);

}  // namespace kino::server
