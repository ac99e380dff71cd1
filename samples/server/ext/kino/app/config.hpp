// SPDX-License-Identifier: MIT
//
// Reads the native server's settings from the Hash that Ruby passes.

#pragma once

#include "admission/quarantine.hpp"
#include "base/options.hpp"
#include "base/process_places.hpp"
#include "control/control_settings.hpp"
#include "observers/access_log.hpp"
#include "websocket/websocket.hpp"

#include <kino/gvl.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace kino::server {

struct config {
  options http;
  std::size_t queue_depth = 1024;
  clock::duration queue_timeout = std::chrono::seconds(5);
  clock::duration queue_target{};     // zero: no load is shed
  clock::duration request_timeout{};  // zero: none
  std::size_t slots = 64;
  std::size_t units = 64;  // see worker_recycler, as are the next three
  bool recycles = false;
  std::uint64_t max_requests = 0;
  std::uint64_t max_requests_jitter = 0;
  quarantine::settings stuck;  // how workers are found and what is done with them
  std::uint32_t concurrency = 0;
  bool run_permits = true;
  bool websockets = true;  // native ones
  bool event_streams = true;
  websocket::settings websocket_limits = {};
  bool early_hints = false;  // over HTTP/1.1, too
  std::optional<std::size_t> place;    // of one of several processes
  process_place process;               // what Ruby cannot say of it
  process_places const* others = nullptr;  // those for which this one answers operators
  std::optional<access_log_settings> access_log;
  std::optional<control_settings> control;
  std::size_t route_metrics = 0;
};

/// Reads `hash`; missing settings keep their defaults. Throws ruby_error, and std::invalid_argument
/// naming the setting, also for one that does not exist.
[[nodiscard]] config read_config(gvl const& held, VALUE hash);
/// The settings as a Hash like the one that is read; of `binds`, `tls`, `access_log` and `control`, only whether there are any.
[[nodiscard]] VALUE show_config(gvl const& held, config& settings);
/// Like read_config, for the settings of TLS, of the access log and of the control plane.
[[nodiscard]] tls_settings read_tls(gvl const& held, VALUE hash);
[[nodiscard]] access_log_settings read_access_log(gvl const& held, VALUE hash);
[[nodiscard]] control_settings read_control(gvl const& held, VALUE hash);

}  // namespace kino::server
