// SPDX-License-Identifier: MIT
//
// Kino::Native: the table of functions through which Ruby sees the native server.

#include "app/config.hpp"
#include "app/server.hpp"
#include "base/log.hpp"
#include "rack/rack_env.hpp"
#include "rack/rack_input.hpp"
#include "rack/rack_response.hpp"
#include "rack/rack_stream.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>
#include <kino/registry.hpp>
#include <kino/ruby_features.hpp>
#include <kino/usable_cpus.hpp>
#include <kino/wait.hpp>

#include <optional>
#include <string>

namespace {

using namespace kino::server;
using kino::gvl;

using servers = kino::registry<server>;

// Never destroyed: at the end of the process workers may still be on their way out.
servers* running = nullptr;
rack_env* environments = nullptr;

std::uint64_t id_of(gvl const& held, VALUE id) { return kino::from_ruby<std::uint64_t>(held, id); }

servers::pin server_of(gvl const& held, VALUE id) {
  servers::pin found = running->find(id_of(held, id));
  if (!found) throw std::invalid_argument("kino: no such server, or it has been stopped");
  return found;
}

std::size_t slot_of(gvl const& held, VALUE slot) {
  return kino::from_ruby<std::size_t>(held, slot);
}

std::optional<double> seconds_of(gvl const& held, VALUE value) {
  if (NIL_P(value)) return std::nullopt;
  double seconds = 0;
  kino::protect(held, [&] { seconds = NUM2DBL(value); });
  if (!(seconds >= 0)) throw std::invalid_argument("kino: a timeout must not be negative");
  return std::min(seconds, 1e9);
}

VALUE symbol(char const* name) { return ID2SYM(rb_intern(name)); }

// --- life -----------------------------------------------------------------------

VALUE create(gvl const& held, VALUE, VALUE settings) {
  std::uint64_t const id = running->insert(held, read_config(held, settings), *environments);
  return kino::to_ruby(held, id);
}

VALUE listen_all(gvl const& held, VALUE, VALUE id) {
  auto const addresses = server_of(held, id)->listen();
  return kino::protect(held, [&addresses] {
    VALUE const all = rb_ary_new();
    for (bind_address const& one : addresses) {
      VALUE const pair = rb_ary_new();
      rb_ary_push(all, pair);
      std::string const& name = one.local() ? one.path : one.host;
      rb_ary_push(pair, rb_utf8_str_new(name.data(), static_cast<long>(name.size())));
      if (!one.local()) rb_ary_push(pair, INT2FIX(one.port));
    }
    return all;
  });
}

VALUE start(gvl const& held, VALUE, VALUE id) {
  server_of(held, id)->start();
  return Qnil;
}

VALUE stop_accepting(gvl const& held, VALUE, VALUE id) {
  server_of(held, id)->stop_accepting();
  return Qnil;
}

VALUE begin_drain(gvl const& held, VALUE, VALUE id) {
  server_of(held, id)->begin_drain();
  return Qnil;
}

VALUE await_idle(gvl const& held, VALUE, VALUE id, VALUE seconds) {
  std::optional<clock::time_point> until;
  if (auto const timeout = seconds_of(held, seconds)) {
    until = clock::now() + std::chrono::duration_cast<clock::duration>(
                               std::chrono::duration<double>(*timeout));
  }
  return kino::to_ruby(held, server_of(held, id)->await_idle(held, until));
}

VALUE close_queue(gvl const& held, VALUE, VALUE id) {
  server_of(held, id)->close();
  return Qnil;
}

VALUE abort_all(gvl const& held, VALUE, VALUE id) {
  server_of(held, id)->abort();
  return Qnil;
}

VALUE stop(gvl const& held, VALUE, VALUE id) {
  auto const number = id_of(held, id);
  servers::pin const found = running->find(number);
  if (!found) return Qnil;  // already stopped
  found->stop(held);
  if (found->deserted()) running->erase(number);
  return Qnil;
}

// --- workers ----------------------------------------------------------------------

VALUE join(gvl const& held, VALUE, VALUE id) {
  return kino::to_ruby(held, server_of(held, id)->join(held));
}

// A negative slot: the worker could not join, and has none.
VALUE leave(gvl const& held, VALUE, VALUE id, VALUE slot, VALUE reason) {
  servers::pin const from = server_of(held, id);
  auto const place = kino::from_ruby<long>(held, slot);
  auto why = kino::from_ruby<std::optional<std::string>>(held, reason);
  if (place < 0) {
    from->refused_worker(std::move(why));
    return Qnil;
  }
  from->leave(held, static_cast<std::size_t>(place), std::move(why));
  if (from->deserted()) running->erase(id_of(held, id));
  return Qnil;
}

// Whether there is nothing left to do for a worker: the server was stopped without it, or this is a forked child.
VALUE gone(gvl const& held, VALUE, VALUE id) {
  servers::pin const found = running->find(id_of(held, id));
  return kino::to_ruby(held, !found || found->forked());
}

VALUE forked(gvl const& held, VALUE, VALUE id) {
  servers::pin const found = running->find(id_of(held, id));
  return kino::to_ruby(held, found && found->forked());
}

VALUE take(gvl const& held, VALUE, VALUE id, VALUE slot) {
  servers::pin const from = server_of(held, id);
  return from->take(held, slot_of(held, slot));
}

VALUE answer_and_take(gvl const& held, VALUE, VALUE id, VALUE slot, VALUE status, VALUE headers,
                      VALUE body) {
  servers::pin const from = server_of(held, id);
  std::size_t const index = slot_of(held, slot);
  worker_context& at = from->busy_context_at(index);
  at.writer = {};
  send_response(held, at, status, headers, body);
  return from->take(held, index);
}

VALUE stream(gvl const& held, VALUE, kino::arguments all) {
  if (all.size() != 5) {
    throw std::invalid_argument("kino: stream takes id, slot, status, headers, length or nil");
  }
  servers::pin const from = server_of(held, all[0]);
  worker_context& at = from->busy_context_at(slot_of(held, all[1]));
  std::optional<std::uint64_t> length;
  if (!NIL_P(all[4])) {
    auto const given = kino::from_ruby<long>(held, all[4]);
    if (given < 0) throw std::invalid_argument("kino: a body length must not be negative");
    length = static_cast<std::uint64_t>(given);
  }
  at.writer = {};
  response_writer begun = begin_response(held, at, all[2], all[3], length);
  VALUE const made = rack_stream::make(held, at);
  at.writer = std::move(begun);
  return made;
}

// --- supervision --------------------------------------------------------------------

// Waits for so many seconds at most; nil: without end.
VALUE next_event(gvl const& held, VALUE, VALUE id, VALUE seconds) {
  std::optional<double> const timeout = seconds_of(held, seconds);
  servers::pin const from = running->find(id_of(held, id));
  if (!from) return Qnil;
  std::optional<event> const next = from->next_event(held, timeout);
  if (!next) return Qnil;
  return kino::protect(held, [&next] {
    switch (next->what) {
      case event::kind::worker_joined:
        return rb_ary_new_from_args(2, symbol("worker_joined"), LONG2FIX(next->slot));
      case event::kind::worker_exited:
        return rb_ary_new_from_args(
            3, symbol("worker_exited"), LONG2FIX(next->slot),
            next->reason.empty() ? Qnil
                                 : rb_utf8_str_new(next->reason.data(),
                                                   static_cast<long>(next->reason.size())));
      case event::kind::room_asked: return rb_ary_new_from_args(1, symbol("room_asked"));
      default: return rb_ary_new_from_args(1, symbol("nothing"));
    }
  });
}

VALUE ask_for_room(gvl const& held, VALUE, VALUE id) {
  server_of(held, id)->ask_for_room();
  return Qnil;
}

VALUE stats(gvl const& held, VALUE, VALUE id) {
  auto const now = server_of(held, id)->stats();
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
    set(all, "client_gone", ULL2NUM(now.client_gone));
    set(all, "refused", ULL2NUM(now.refused));
    set(all, "connections", ULL2NUM(now.connections));
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
    }
    set(all, "worker_status", workers);
    return all;
  });
}

// --- the log --------------------------------------------------------------------------

VALUE start_log(gvl const& held, VALUE) { return kino::to_ruby(held, log().start()); }

VALUE write_log(gvl const& held, VALUE, VALUE text) {
  return kino::to_ruby(held, log().write(kino::bytes_of(held, text)));
}

VALUE reopen_log(gvl const&, VALUE) {
  log().reopen();
  return Qnil;
}

// Waits for so many seconds at most. Not interrupted: it is what the end of a process calls.
VALUE flush_log(gvl const& held, VALUE, VALUE seconds) {
  auto const timeout = seconds_of(held, seconds);
  if (!timeout) throw std::invalid_argument("kino: flush_log needs a number of seconds");
  auto const most = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(std::min(*timeout, 3600.0)));
  bool done = false;
  auto work = [&]() noexcept { done = log().flush(most); };
  // With interrupts pending, as in a trap, it waits with the GVL.
  if (!kino::try_without_gvl(held, work, kino::uninterruptible)) work();
  return kino::to_ruby(held, done);
}

VALUE set_rack_errors(gvl const& held, VALUE, VALUE stream) {
  environments->set_errors(held, stream);
  return stream;
}

// --- the machine ----------------------------------------------------------------------

VALUE available_parallelism(gvl const& held, VALUE) {
  return kino::to_ruby(held, kino::usable_cpus());
}

VALUE sleep_exactly(gvl const& held, VALUE, VALUE seconds) {
  auto const duration = seconds_of(held, seconds);
  if (!duration) throw std::invalid_argument("kino: sleep needs a number of seconds");
  kino::sleep(held, std::chrono::duration<double>(*duration));
  return Qnil;
}

VALUE features(gvl const& held, VALUE) {
  return kino::protect(held, [] {
    VALUE const all = rb_hash_new();
    rb_hash_aset(all, symbol("pinning"), kino::ruby_pins_threads ? Qtrue : Qfalse);
    rb_hash_aset(all, symbol("run_permits"),
                 kino::ruby_has_thread_events ? Qtrue : Qfalse);
    return all;
  });
}

}  // namespace

KINO_EXTENSION(kino_native) {
  VALUE const native = rb_define_module_under(rb_define_module("Kino"), "Native");
  static_cast<void>(log());
  running = new servers;
  environments = new rack_env(held);
  rack_input::define(held, native);
  rack_stream::define(native);

  kino::define_function<create>(native, "create");
  kino::define_function<listen_all>(native, "listen");
  kino::define_function<start>(native, "start");
  kino::define_function<stop_accepting>(native, "stop_accepting");
  kino::define_function<begin_drain>(native, "begin_drain");
  kino::define_function<await_idle>(native, "await_idle");
  kino::define_function<close_queue>(native, "close");
  kino::define_function<abort_all>(native, "abort");
  kino::define_function<stop>(native, "stop");

  kino::define_function<join>(native, "join");
  kino::define_function<leave>(native, "leave");
  kino::define_function<gone>(native, "gone?");
  kino::define_function<forked>(native, "forked?");
  kino::define_function<take>(native, "take");
  kino::define_function<answer_and_take>(native, "answer_and_take");
  kino::define_function<stream>(native, "stream");

  kino::define_function<next_event>(native, "next_event");
  kino::define_function<ask_for_room>(native, "ask_for_room");
  kino::define_function<stats>(native, "stats");

  kino::define_function<start_log>(native, "start_log");
  kino::define_function<write_log>(native, "log");
  kino::define_function<reopen_log>(native, "reopen_log");
  kino::define_function<flush_log>(native, "flush_log");
  kino::define_function<set_rack_errors>(native, "rack_errors=");

  kino::define_function<available_parallelism>(native, "available_parallelism");
  kino::define_function<sleep_exactly>(native, "sleep");
  kino::define_function<features>(native, "features");
}
