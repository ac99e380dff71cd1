// SPDX-License-Identifier: MIT

#include "rack/rack_request.hpp"

#include "http/request_start.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>
#include <kino/wait.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace kino::server {

namespace {

// The number takes the place of the pointer to the data.
static_assert(sizeof(void*) >= sizeof(std::uint64_t), "kino's server needs 64-bit pointers");

VALUE request_class = Qnil;

// Not shareable: the GVL of its Ractor is what makes its use safe. There is nothing to mark and nothing to free.
rb_data_type_t const request_type = [] {
  rb_data_type_t made{};
  made.wrap_struct_name = "Kino::Request";
  made.flags = RUBY_TYPED_FREE_IMMEDIATELY | RUBY_TYPED_WB_PROTECTED;
  return made;
}();

bool in_vain(worker_context& at) {
  exchange& of = exchange::of(at.reply);
  return of.cancelling().cancelled() || of.client_gone();
}

// From when a trusted proxy had the request, if it says so, until the worker took it. Never shorter than the time in this
// server: two clocks are compared.
std::chrono::duration<double> queue_time_of(worker_context& at) {
  exchange& of = exchange::of(at.reply);
  std::chrono::duration<double> const here = at.waited;
  auto const start = of.peer().trusted ? request_start(of.head().fields()) : std::nullopt;
  if (!start) return here;
  clock::duration const handled = clock::now() - (of.ready_at() + at.waited);
  return std::max(here, std::chrono::duration<double>(std::chrono::system_clock::now() - *start - handled));
}

}  // namespace

void rack_request::define() {
  request_class = rb_define_class_under(rb_define_module("Kino"), "Request", rb_cObject);
  rb_gc_register_mark_object(request_class);
  rb_undef_alloc_func(request_class);
  kino::define_method<&rack_request::extend_deadline>(request_class, "extend_deadline");
  kino::define_method<&rack_request::cancelled>(request_class, "cancelled?");
  kino::define_method<&rack_request::ended>(request_class, "ended?");
  kino::define_method<&rack_request::queue_time>(request_class, "queue_time");
  kino::define_method<&rack_request::wait>(request_class, "wait");
}

VALUE rack_request::make(worker_context& at) {
  return rb_data_typed_object_wrap(request_class, reinterpret_cast<void*>(at.number.value()), &request_type);
}

// Null: the request has ended.
worker_context* rack_request::context_of(gvl const& held, VALUE self) {
  auto const number = kino::protect(held, [self] { return reinterpret_cast<VALUE>(rb_check_typeddata(self, &request_type)); });
  return request_number::find(number);
}

VALUE rack_request::extend_deadline(gvl const& held, VALUE self, VALUE seconds) {
  double time = 0;
  kino::protect(held, [&] { time = NUM2DBL(seconds); });
  if (!(time >= 0)) throw std::invalid_argument("kino: the time of extend_deadline must not be negative");
  worker_context* const at = context_of(held, self);
  if (!at || in_vain(*at)) return Qfalse;
  auto const longer = std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(std::min(time, 1e9)));
  // Once the response has begun, there is no limit.
  return exchange::of(at->reply).due().extend(clock::now() + longer) || at->reply.ended() ? Qtrue : Qfalse;
}

VALUE rack_request::cancelled(gvl const& held, VALUE self) {
  worker_context* const at = context_of(held, self);
  return !at || in_vain(*at) ? Qtrue : Qfalse;
}

VALUE rack_request::ended(gvl const& held, VALUE self) { return context_of(held, self) ? Qfalse : Qtrue; }

VALUE rack_request::queue_time(gvl const& held, VALUE self) {
  worker_context* const at = context_of(held, self);
  return at ? kino::protect(held, [at] { return rb_float_new(queue_time_of(*at).count()); }) : Qnil;
}

VALUE rack_request::wait(gvl const& held, VALUE self) {
  worker_context* const at = context_of(held, self);
  if (!at) return Qfalse;
  exchange& of = exchange::of(at->reply);
  exchange_hold const kept(of);
  if (of.client_gone()) of.cancelling().cancel();  // before it could be told
  kino::wait(held, of.cancelling().changes(), [&of] { return of.cancelling().settled(); });
  return of.cancelling().cancelled() ? Qtrue : Qfalse;
}

}  // namespace kino::server
