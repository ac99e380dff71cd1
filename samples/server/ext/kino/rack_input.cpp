// SPDX-License-Identifier: MIT

#include "rack_input.hpp"

#include <kino/wait.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

namespace kino::server {

namespace {

using native = kino::native_object<rack_input>;

VALUE input_class = Qnil;
VALUE empty_input = Qnil;
VALUE body_error = Qnil;

constexpr std::size_t piece_size = 16 * 1024;

// Sleeps until the body has bytes or an end.
void await_bytes(gvl const& held, exchange& from) {
  from.flush();  // The client may send nothing before it has read what was written for it.
  auto& spot = from.body().arrivals();
  while (from.body().await()) {
    static_cast<void>(kino::detail::wait_without_gvl(
        held, spot, [&]() noexcept { return spot.park(std::nullopt); }));
  }
}

// Takes what is there, waiting for the first byte. 0: the body is over. `place` says where to,
// anew after each wait, in which Ruby may have moved it.
template <class Place>
body_pipe::taken take_some(gvl const& held, exchange& from, std::size_t room, Place place) {
  for (;;) {
    auto const got = from.read(place(), room);
    if (got.length != 0) return got;
    switch (got.what) {
      case body_pipe::state::complete: return got;
      case body_pipe::state::broken:
        throw kino::raise(body_error,
                          std::string("kino: cannot read the body: ") + from.body().why());
      case body_pipe::state::open: await_bytes(held, from);
    }
  }
}

std::size_t take_some(gvl const& held, exchange& from, byte_buffer& into, std::size_t room) {
  auto const got = take_some(held, from, room, [&] { return into.prepare(room); });
  into.commit(got.length);
  return got.length;
}

VALUE new_binary(gvl const& held, std::string_view bytes) {
  return kino::protect(
      held, [&] { return rb_str_new(bytes.data(), static_cast<long>(bytes.size())); });
}

// Puts `bytes` into `buffer`, or into a new String for nil.
VALUE result_in(gvl const& held, VALUE buffer, std::string_view bytes) {
  if (NIL_P(buffer)) return new_binary(held, bytes);
  return kino::protect(held, [&] {
    rb_str_resize(buffer, 0);
    rb_enc_associate(buffer, rb_ascii8bit_encoding());
    return rb_str_cat(buffer, bytes.data(), static_cast<long>(bytes.size()));
  });
}

seat& seat_of(std::optional<attachment> const& tie) {
  if (tie->at()) return *tie->at();
  throw kino::raise(rb_eIOError, "kino: this request is over, its body is gone");
}

}  // namespace

VALUE rack_input::make(gvl const& held, seat& at) {
  return native::wrap(held, input_class, std::make_unique<rack_input>(at));
}

VALUE rack_input::nothing() { return empty_input; }

VALUE rack_input::read(gvl const& held, seat& at, byte_buffer& ahead, VALUE length, VALUE buffer) {
  exchange& from = exchange::of(at.current.reply);
  exchange_hold const kept(from);
  std::size_t most = SIZE_MAX;
  if (!NIL_P(length)) {
    long wanted = 0;
    kino::protect(held, [&] { wanted = NUM2LONG(length); });
    if (wanted < 0) throw std::invalid_argument("kino: negative length " + std::to_string(wanted));
    if (wanted == 0) return result_in(held, buffer, "");
    most = static_cast<std::size_t>(wanted);
  }
  // What is known to come, within reason: a client can announce anything.
  std::uint64_t const announced =
      from.head().content_length.value_or(ahead.size() + from.body().ready());
  long const expected = static_cast<long>(std::min<std::uint64_t>({announced, most, 1 << 20}));
  VALUE text = kino::protect(held, [expected] { return rb_str_buf_new(expected); });
  std::size_t got = std::min(ahead.size(), most);
  if (got != 0) {
    kino::protect(held, [&] { rb_str_cat(text, ahead.data(), static_cast<long>(got)); });
    ahead.consume(got);
  }
  // Straight into the String, which nobody else knows.
  while (got < most) {
    std::size_t const ready = from.body().ready();
    if (ready == 0 && from.body().what() == body_pipe::state::complete) break;
    std::size_t const room = std::min(most - got, ready != 0 ? ready : piece_size);
    if (rb_str_capacity(text) - got < room) {
      kino::protect(held, [&] { rb_str_modify_expand(text, static_cast<long>(got + room)); });
    }
    auto const more = take_some(held, from, room, [&] { return RSTRING_PTR(text) + got; });
    got += more.length;
    kino::protect(held, [&] { rb_str_set_len(text, static_cast<long>(got)); });
    if (more.what == body_pipe::state::complete) break;
  }
  if (!NIL_P(buffer)) {
    kino::protect(held, [&] {
      rb_str_replace(buffer, text);
      rb_enc_associate(buffer, rb_ascii8bit_encoding());
    });
    text = buffer;
  }
  return got == 0 && !NIL_P(length) ? Qnil : text;
}

VALUE rack_input::read_method(gvl const& held, VALUE self, kino::arguments all) {
  if (all.size() > 2) throw std::invalid_argument("kino: read takes a length and a buffer");
  VALUE const length = all.empty() ? Qnil : all[0];
  VALUE const buffer = all.size() < 2 ? Qnil : all[1];
  if (!NIL_P(buffer)) kino::protect(held, [buffer] { Check_Type(buffer, T_STRING); });
  rack_input& me = native::get(held, self);
  if (!me.tie_) {
    bool const at_end = !NIL_P(length) && length != INT2FIX(0);
    VALUE const nothing = result_in(held, buffer, "");
    return at_end ? Qnil : nothing;
  }
  return read(held, seat_of(me.tie_), me.ahead_, length, buffer);
}

VALUE rack_input::gets_method(gvl const& held, VALUE self, kino::arguments all) {
  if (!all.empty()) throw std::invalid_argument("kino: gets takes no arguments");
  rack_input& me = native::get(held, self);
  if (!me.tie_) return Qnil;
  exchange& from = exchange::of(seat_of(me.tie_).current.reply);
  exchange_hold const kept(from);
  std::size_t searched = 0;
  for (;;) {
    std::string_view const seen = me.ahead_.view();
    std::size_t const feed = seen.find('\n', searched);
    std::size_t length = feed + 1;
    if (feed == seen.npos) {
      searched = seen.size();
      if (take_some(held, from, me.ahead_, piece_size) != 0) continue;
      if (me.ahead_.empty()) return Qnil;
      length = me.ahead_.size();
    }
    VALUE const line = new_binary(held, me.ahead_.view().substr(0, length));
    me.ahead_.consume(length);
    return line;
  }
}

VALUE rack_input::each_method(gvl const& held, VALUE self) {
  kino::protect(held, [self] {
    rb_need_block();
    static_cast<void>(self);
  });
  for (;;) {
    VALUE const piece = [&] {
      rack_input& me = native::get(held, self);
      if (!me.tie_) return Qnil;
      exchange& from = exchange::of(seat_of(me.tie_).current.reply);
      exchange_hold const kept(from);
      if (me.ahead_.empty()) {
        std::size_t const room = std::max(piece_size, from.body().ready());
        if (take_some(held, from, me.ahead_, room) == 0) return Qnil;
      }
      VALUE const all = new_binary(held, me.ahead_.view());
      me.ahead_.clear(0);
      return all;
    }();
    if (NIL_P(piece)) return self;
    kino::protect(held, [piece] { rb_yield(piece); });
  }
}

VALUE rack_input::close_method(gvl const& held, VALUE self) {
  rack_input& me = native::get(held, self);
  if (me.tie_ && me.tie_->at()) exchange::of(me.tie_->at()->current.reply).discard_body();
  return Qnil;
}

void rack_input::define(gvl const& held, VALUE module) {
  body_error = rb_define_class_under(rb_define_module("Kino"), "BodyError", rb_eIOError);
  input_class = rb_define_class_under(module, "Input", rb_cObject);
  rb_undef_alloc_func(input_class);
  kino::define_method<&rack_input::read_method>(input_class, "read");
  kino::define_method<&rack_input::gets_method>(input_class, "gets");
  kino::define_method<&rack_input::each_method>(input_class, "each");
  kino::define_method<&rack_input::close_method>(input_class, "close");
  empty_input = native::wrap(held, input_class, std::make_unique<rack_input>());
  kino::protect(held, [] {
    rb_obj_freeze(empty_input);
    rb_ractor_make_shareable(empty_input);
    rb_gc_register_mark_object(empty_input);
  });
}

}  // namespace kino::server
