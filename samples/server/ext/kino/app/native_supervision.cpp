// SPDX-License-Identifier: MIT
//
// What a supervisor calls, and statistics.

#include "app/native.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <optional>
#include <utility>

namespace kino::server::native {

namespace {

// [slot, generation]; nil for a worker that had no slot. Raises.
VALUE array_of(kino::worker_id const& worker) {
  if (worker.generation == 0) return Qnil;
  return rb_ary_new_from_args(2, SIZET2NUM(worker.index), ULL2NUM(worker.generation));
}

// Waits for so many seconds at most; nil: without end.
VALUE next_event(gvl const& held, VALUE, VALUE id, VALUE seconds) {
  std::optional<double> const timeout = seconds_of(held, seconds);
  servers::pin const from = running().find(id_of(held, id));
  if (!from) return Qnil;
  std::optional<event> const next = from->next_event(held, timeout);
  if (!next) return Qnil;
  return kino::protect(held, [&next] {
    switch (next->what) {
      case event::kind::worker_joined: return rb_ary_new_from_args(2, symbol("worker_joined"), array_of(next->worker));
      case event::kind::worker_stuck: return rb_ary_new_from_args(2, symbol("worker_stuck"), array_of(next->worker));
      case event::kind::worker_exited:
        return rb_ary_new_from_args(
            4, symbol("worker_exited"), array_of(next->worker),
            next->reason.empty() ? Qnil
                                 : rb_utf8_str_new(next->reason.data(),
                                                   static_cast<long>(next->reason.size())),
            next->dismissed ? Qtrue : Qfalse);
      case event::kind::unit_due: return rb_ary_new_from_args(2, symbol("unit_due"), SIZET2NUM(next->unit));
      case event::kind::room_asked: return rb_ary_new_from_args(1, symbol("room_asked"));
      default: return rb_ary_new_from_args(1, symbol("nothing"));
    }
  });
}

VALUE publish(gvl const& held, VALUE, VALUE id, VALUE alive, VALUE respawns, VALUE recycled) {
  auto const now = kino::from_ruby<std::size_t>(held, alive);
  auto const died = kino::from_ruby<std::uint64_t>(held, respawns);
  auto const planned = kino::from_ruby<std::uint64_t>(held, recycled);
  if (servers::pin const at = running().find(id_of(held, id))) at->publish(now, died, planned);  // else it has just stopped
  return Qnil;
}

VALUE replace(gvl const& held, VALUE, VALUE id, VALUE due, VALUE successor, VALUE workers) {
  auto const former = kino::from_ruby<std::size_t>(held, due);
  auto const next = kino::from_ruby<std::size_t>(held, successor);
  auto const count = kino::from_ruby<std::size_t>(held, workers);
  if (servers::pin const at = running().find(id_of(held, id))) at->replace(former, next, count);
  return Qnil;
}

// Raises.
VALUE tls_hash(tls_statistics const& now) {
  VALUE const all = rb_hash_new();
  VALUE const failed = rb_hash_new();
  auto const set = [](VALUE hash, char const* name, std::uint64_t value) {
    rb_hash_aset(hash, symbol(name), ULL2NUM(value));
  };
  set(all, "handshakes", now.handshakes);
  set(all, "resumed", now.resumed);
  rb_hash_aset(all, symbol("failed"), failed);
  set(failed, "timeout", now.timed_out);
  for (auto const& [why, name] : tls_failure_names) set(failed, name.data(), now.failed[static_cast<std::size_t>(why)]);
  return all;
}

VALUE stats(gvl const& held, VALUE, VALUE id) {
  auto const now = server_of(held, id)->statistics();
  return kino::protect(held, [&now] {
    VALUE const all = rb_hash_new();
    auto const set = [](VALUE hash, char const* name, VALUE value) {
      rb_hash_aset(hash, symbol(name), value);
    };
    set(all, "queued", ULL2NUM(now.queued));
    set(all, "overflow", ULL2NUM(now.overflow));
    set(all, "in_flight", ULL2NUM(now.in_flight));
    set(all, "served", ULL2NUM(now.served));
    set(all, "rejected", ULL2NUM(now.rejected));
    set(all, "shed", ULL2NUM(now.shed));
    set(all, "timeouts", ULL2NUM(now.timeouts));
    set(all, "client_gone", ULL2NUM(now.client_gone));
    set(all, "refused", ULL2NUM(now.refused));
    set(all, "connections", ULL2NUM(now.connections));
    set(all, "websockets", ULL2NUM(now.websockets));
    set(all, "websocket_events", ULL2NUM(now.websocket_events));
    set(all, "respawns", ULL2NUM(now.respawns));
    set(all, "recycled", ULL2NUM(now.recycled));
    set(all, "quarantined", ULL2NUM(now.quarantined));
    set(all, "quarantines", ULL2NUM(now.quarantines));
    set(all, "alive", ULL2NUM(now.alive));
    if (now.tls) set(all, "tls", tls_hash(*now.tls));
    VALUE const waited = rb_hash_new();
    set(waited, "count", ULL2NUM(now.waited_count));
    set(waited, "sum_seconds", DBL2NUM(now.waited_seconds));
    set(all, "queue_time", waited);
    VALUE const workers = rb_ary_new();
    for (auto const& one : now.slots) {
      if (!one.occupied && one.workers == 0) continue;
      VALUE const worker = rb_hash_new();
      rb_ary_push(workers, worker);
      set(worker, "index", ULL2NUM(one.index));
      set(worker, "occupied", one.occupied ? Qtrue : Qfalse);
      set(worker, "served", ULL2NUM(one.served));
      set(worker, "in_flight", UINT2NUM(one.in_flight));
      set(worker, "busy_ms", LL2NUM(one.busy.count()));
      set(worker, "quarantined", one.quarantined ? Qtrue : Qfalse);
    }
    set(all, "worker_status", workers);
    return all;
  });
}

}  // namespace

void define_supervision(VALUE native) {
  kino::define_function<next_event>(native, "next_event");
  kino::define_function<call<&server::ask_for_room>>(native, "ask_for_room");
  kino::define_function<publish>(native, "publish");
  kino::define_function<replace>(native, "replace");
  kino::define_function<stats>(native, "stats");
}

}  // namespace kino::server::native
