// SPDX-License-Identifier: MIT
//
// What the functions of Kino::Native share.

#pragma once

#include "app/server.hpp"
#include "rack/rack_env.hpp"

#include <kino/gvl.hpp>
#include <kino/registry.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

/// Kino::Native is the table of functions through which Ruby sees the native server. Ruby knows a server by its id and a
/// worker by its slot. Each define_... adds the functions of one kind to the module.
namespace kino::server::native {

using servers = kino::registry<server>;

/// The servers of this process. Never destroyed: at its end workers may still be on their way out.
[[nodiscard]] servers& running();
/// Makes the environments of all servers; as long-lived.
[[nodiscard]] rack_env& environments();

// --- arguments ---

[[nodiscard]] std::uint64_t id_of(gvl const& held, VALUE id);
/// Throws std::invalid_argument if there is none.
[[nodiscard]] servers::pin server_of(gvl const& held, VALUE id);
[[nodiscard]] std::size_t slot_of(gvl const& held, VALUE slot);
/// A timeout; nil: none. At most 1e9. Throws std::invalid_argument for a negative one.
[[nodiscard]] std::optional<double> seconds_of(gvl const& held, VALUE value);
/// Raises.
[[nodiscard]] VALUE symbol(char const* name);

/// A function of Kino::Native that takes a server's id, calls this member of the server and returns nil.
template <auto Member>
VALUE call(gvl const& held, VALUE, VALUE id) {
  (*server_of(held, id).*Member)();
  return Qnil;
}

// --- the functions ---

void define_lifecycle(VALUE native);
void define_workers(VALUE native);
void define_supervision(VALUE native);
void define_control(VALUE native);
void define_log(VALUE native);
void define_machine(VALUE native);
void define_websockets(VALUE native);

}  // namespace kino::server::native
