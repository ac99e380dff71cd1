// SPDX-License-Identifier: MIT

#include "rack/rack_input.hpp"

#include "http/body_reader.hpp"
#include "rack/rack_trailers.hpp"
#include "rack/read_call.hpp"

#include <kino/convert.hpp>
#include <kino/wait.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace kino::server {

namespace {

using native = kino::native_object<rack_input>;
using native_empty = kino::native_object<empty_rack_input>;

VALUE input_class = Qnil;
VALUE empty_input = Qnil;
VALUE body_error = Qnil;

constexpr std::size_t piece_size = 16 * 1024;
// Reading so much from a file is worth giving the GVL up.
constexpr std::size_t large_read = 64 * 1024;

// The body of a request that its worker reads: what read_body needs to know of Ruby.
class arriving_body {
public:
  /// Whether other threads can touch the memory that the body is read to while the GVL is released.
  enum class destination { shared, own };

  arriving_body(gvl const& held, exchange& from, destination to)
      : held_(held), from_(from), to_(to) {}

  body_pipe::taken take(char* out, std::size_t room) {
    if (from_.streamed() || to_ == destination::shared) return from_.read(out, room);
    body_spool& all = from_.collected();
    // Claimed with the GVL, copied without it: two threads get different parts.
    body_spool::part const next = all.claim(room);
    body_pipe::taken const got = from_.taken_of(next);
    if (next.length >= large_read && all.in_file(next)) {
      kino::without_gvl(held_, [&] { all.copy(next, out); }, kino::uninterruptible);
    } else {
      all.copy(next, out);
    }
    return got;
  }

  void await() {
    from_.flush();  // The client may send nothing before it has read what was written for it.
    auto& spot = from_.body().arrivals();
    while (from_.body().await()) {
      kino::park(held_, spot);
    }
  }

  [[noreturn]] void broken(rejection const& why) {
    kino::protect(held_, [&why] {
      VALUE const error = rb_exc_new_str(
          body_error, rb_sprintf("kino: cannot read the body: %s", why.reason));
      rb_ivar_set(error, rb_intern("@status"), INT2FIX(why.status));
      rb_exc_raise(error);
    });
    std::abort();  // protect has thrown
  }

private:
  gvl const& held_;
  exchange& from_;
  destination const to_;
};

// A String without other references, to which read_body appends.
class growing_string {
public:
  growing_string(gvl const& held, VALUE string)
      : held_(held), string_(string), start_(static_cast<std::size_t>(RSTRING_LEN(string))) {}

  void reserve(std::size_t total) {
    if (rb_str_capacity(string_) >= start_ + total) return;
    kino::protect(held_, [&] { rb_str_modify_expand(string_, static_cast<long>(start_ + total)); });
  }
  [[nodiscard]] char* at(std::size_t position) { return RSTRING_PTR(string_) + start_ + position; }
  void commit(std::size_t total) {
    kino::protect(held_, [&] { rb_str_set_len(string_, static_cast<long>(start_ + total)); });
  }

private:
  gvl const& held_;
  VALUE string_;
  std::size_t const start_;
};

std::size_t take_some(gvl const& held, exchange& from, byte_buffer& into, std::size_t room) {
  arriving_body body(held, from, arriving_body::destination::shared);
  auto const got = server::take_some(body, room, [&] { return into.prepare(room); });
  into.commit(got.length);
  return got.length;
}

void check_gets(kino::arguments all) {
  if (!all.empty()) throw std::invalid_argument("kino: gets takes no arguments");
}

worker_context& context_of(attachment const& tie) {
  if (tie.at()) return *tie.at();
  throw kino::raise(rb_eIOError, "kino: the request has ended and its body can no longer be read");
}

}  // namespace

VALUE rack_input::make(gvl const& held, worker_context& at) {
  return native::wrap(held, input_class, std::make_unique<rack_input>(at));
}

VALUE empty_rack_input::shared() { return empty_input; }

VALUE rack_input::read(gvl const& held, worker_context& at, byte_buffer& ahead, VALUE length, VALUE buffer) {
  exchange& from = exchange::of(at.reply);
  exchange_hold const kept(from);
  std::size_t most = SIZE_MAX;
  if (!NIL_P(length)) {
    most = read_length(held, length);
    if (most == 0) return read_result(held, buffer, "");
  }
  // What is known to come, within reason: a client can announce anything.
  std::uint64_t const announced =
      ahead.size() + (from.streamed() ? from.head().content_length.value_or(0)
                                      : from.collected().left());
  std::size_t const expected = std::min<std::uint64_t>({announced, most, 1 << 20});
  VALUE text = kino::protect(held, [&] { return rb_str_buf_new(static_cast<long>(expected)); });
  std::size_t got = std::min(ahead.size(), most);
  if (got != 0) {
    kino::protect(held, [&] { rb_str_cat(text, ahead.data(), static_cast<long>(got)); });
    ahead.consume(got);
  }
  // Straight into the String.
  arriving_body body(held, from, arriving_body::destination::own);
  growing_string into(held, text);
  got += read_body(body, most - got, expected - std::min(got, expected), into);
  if (!NIL_P(buffer)) {
    kino::protect(held, [&] {
      rb_str_replace(buffer, text);
      rb_enc_associate(buffer, rb_ascii8bit_encoding());
    });
    text = buffer;
  }
  return got == 0 && !NIL_P(length) ? Qnil : text;
}

VALUE rack_input::read_partial(gvl const& held, worker_context& at, byte_buffer& ahead, VALUE length, VALUE buffer) {
  exchange& from = exchange::of(at.reply);
  exchange_hold const kept(from);
  std::size_t const most = read_length(held, length);
  if (most == 0) return read_result(held, buffer, "");
  if (ahead.empty() && take_some(held, from, ahead, std::min(most, 4 * piece_size)) == 0) {
    throw kino::raise(rb_eEOFError, "kino: the client has ended its side of the connection");
  }
  std::size_t const got = std::min(ahead.size(), most);
  VALUE const text = read_result(held, buffer, ahead.view().substr(0, got));
  ahead.consume(got);
  return text;
}

VALUE rack_input::read_method(gvl const& held, VALUE self, kino::arguments all) {
  auto const [length, buffer] = read_call::of(held, all);
  rack_input& me = native::get(held, self);
  return read(held, context_of(me.tie_), me.ahead_, length, buffer);
}

VALUE rack_input::gets_method(gvl const& held, VALUE self, kino::arguments all) {
  check_gets(all);
  rack_input& me = native::get(held, self);
  exchange& from = exchange::of(context_of(me.tie_).reply);
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
    VALUE const line = read_result(held, Qnil, me.ahead_.view().substr(0, length));
    me.ahead_.consume(length);
    return line;
  }
}

VALUE rack_input::each_method(gvl const& held, VALUE self) {
  kino::protect(held, [] { rb_need_block(); });
  for (;;) {
    VALUE const piece = [&] {
      rack_input& me = native::get(held, self);
      exchange& from = exchange::of(context_of(me.tie_).reply);
      exchange_hold const kept(from);
      if (me.ahead_.empty() && take_some(held, from, me.ahead_, 4 * piece_size) == 0) return Qnil;
      VALUE const all = read_result(held, Qnil, me.ahead_.view());
      me.ahead_.clear(0);
      return all;
    }();
    if (NIL_P(piece)) return self;
    kino::protect(held, [piece] { rb_yield(piece); });
  }
}

VALUE rack_input::close_method(gvl const& held, VALUE self) {
  rack_input& me = native::get(held, self);
  if (me.tie_.at()) exchange::of(me.tie_.at()->reply).close_body();
  return Qnil;
}

VALUE rack_input::trailers_method(gvl const& held, VALUE self) {
  rack_input& me = native::get(held, self);
  exchange& from = exchange::of(context_of(me.tie_).reply);
  exchange_hold const kept(from);
  field_section const* const found = me.ahead_.empty() ? from.received_trailers() : nullptr;
  return found ? rack_trailers::make(held, *found) : rack_trailers::none();
}

VALUE empty_rack_input::read_method(gvl const& held, VALUE, kino::arguments all) {
  auto const [length, buffer] = read_call::of(held, all);
  VALUE const nothing = read_result(held, buffer, "");
  return NIL_P(length) || length == INT2FIX(0) ? nothing : Qnil;
}

VALUE empty_rack_input::gets_method(gvl const&, VALUE, kino::arguments all) {
  check_gets(all);
  return Qnil;
}

VALUE empty_rack_input::each_method(gvl const& held, VALUE self) {
  kino::protect(held, [] { rb_need_block(); });
  return self;
}

VALUE empty_rack_input::close_method(gvl const&, VALUE) { return Qnil; }

VALUE empty_rack_input::trailers_method(gvl const&, VALUE) { return rack_trailers::none(); }

void rack_input::define(gvl const& held, VALUE module) {
  body_error = rb_define_class_under(rb_define_module("Kino"), "BodyError", rb_eIOError);
  rb_define_attr(body_error, "status", 1, 0);
  input_class = native::define_class(held, module, "Input");
  kino::define_method<&rack_input::read_method>(input_class, "read");
  kino::define_method<&rack_input::gets_method>(input_class, "gets");
  kino::define_method<&rack_input::each_method>(input_class, "each");
  kino::define_method<&rack_input::close_method>(input_class, "close");
  kino::define_method<&rack_input::trailers_method>(input_class, "trailers");
  empty_rack_input::define(held, module);
  rack_trailers::define(held);
}

void empty_rack_input::define(gvl const& held, VALUE module) {
  VALUE const empty_class = native_empty::define_class(held, module, "EmptyInput");
  kino::define_method<&empty_rack_input::read_method>(empty_class, "read");
  kino::define_method<&empty_rack_input::gets_method>(empty_class, "gets");
  kino::define_method<&empty_rack_input::each_method>(empty_class, "each");
  kino::define_method<&empty_rack_input::close_method>(empty_class, "close");
  kino::define_method<&empty_rack_input::trailers_method>(empty_class, "trailers");
  empty_input = native_empty::wrap(held, empty_class, std::make_unique<empty_rack_input>());
  kino::protect(held, [] {
    rb_obj_freeze(empty_input);
    rb_ractor_make_shareable(empty_input);
    rb_gc_register_mark_object(empty_input);
  });
}

}  // namespace kino::server
