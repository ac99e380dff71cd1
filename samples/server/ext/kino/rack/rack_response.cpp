// SPDX-License-Identifier: MIT

#include "rack/rack_response.hpp"

#include "http/upgrade.hpp"
#include "rack/flush_on_suspend.hpp"

#include <kino/extension.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace kino::server {

namespace {

using problem = response_head::problem;

VALUE partial_hijack = Qnil;

std::string_view bytes_of(VALUE string) {
  return {RSTRING_PTR(string), static_cast<std::size_t>(RSTRING_LEN(string))};
}

// What one reading of a response found. Trivially destructible: Ruby code that is called on
// the way (each, to_s) may leave it by longjmp.
struct reading {
  response_head* head;  // of a response, or null:
  response_trailers* trailers;
  problem found = problem::none;
  bool hijacks = false;
  VALUE name = Qnil;
  VALUE value = Qnil;

  void add(VALUE string) {
    value = string;
    found = head ? head->add(bytes_of(name), bytes_of(string)) : trailers->add(bytes_of(name), bytes_of(string));
  }
  [[nodiscard]] bool stopped() const { return found != problem::none || hijacks; }
};

void add_value(reading& into, VALUE value) {
  into.add(RB_TYPE_P(value, T_STRING) ? value : rb_obj_as_string(value));
}

VALUE add_header(reading& into, VALUE name, VALUE value) {
  into.name = RB_TYPE_P(name, T_STRING) ? name : rb_obj_as_string(name);
  if (NIL_P(value)) return ST_CONTINUE;
  // These are words between the application and its server.
  if (bytes_of(into.name).substr(0, 5) == "rack.") {
    into.hijacks = into.head && bytes_of(into.name) == "rack.hijack";
    return into.hijacks ? ST_STOP : ST_CONTINUE;
  }
  if (RB_TYPE_P(value, T_ARRAY)) {
    for (long i = 0; i < RARRAY_LEN(value) && !into.stopped(); ++i) {
      add_value(into, RARRAY_AREF(value, i));
    }
  } else {
    add_value(into, value);
  }
  return into.stopped() ? ST_STOP : ST_CONTINUE;
}

// What Ruby calls for each pair.
int add_pair(VALUE name, VALUE value, VALUE into) {
  return static_cast<int>(kino::boundary([=](gvl const&) {
    return add_header(*reinterpret_cast<reading*>(into), name, value);
  }));
}

std::string inspected(gvl const& held, VALUE object) {
  VALUE const text = kino::protect(held, [&] { return rb_inspect(object); });
  return std::string(bytes_of(text).substr(0, 100));
}

[[noreturn]] void refuse(gvl const& held, reading const& seen) {
  if (seen.hijacks) throw kino::raise(partial_hijack, "kino: the response has a rack.hijack instead of its body");
  std::string const what = seen.head ? "kino: the response header " : "kino: the response trailer ";
  std::string const field = inspected(held, seen.name) + " => " + inspected(held, seen.value);
  switch (seen.found) {
    case problem::bad_name:
      throw kino::raise(rb_eArgError, what + field + " has an invalid field name");
    case problem::bad_length:
      throw kino::raise(rb_eArgError, what + field + " is not a single length");
    default:
      throw kino::raise(rb_eArgError, what + field +
                                          " has a line break or another control character; for "
                                          "several values, use an Array");
  }
}

void read_fields(gvl const& held, reading& into, VALUE fields) {
  kino::protect(held, [&] {
    VALUE const hash = rb_check_hash_type(fields);
    if (NIL_P(hash)) Check_Type(fields, T_HASH);  // raises TypeError
    rb_hash_foreach(hash, add_pair, reinterpret_cast<VALUE>(&into));
  });
  if (into.stopped()) refuse(held, into);
}

// Begins the description of a response with status 101; false if there is no rack.protocol.
bool start_upgrade(gvl const& held, exchange& to, VALUE headers) {
  VALUE const protocol = kino::protect(held, [&] {
    VALUE const hash = rb_check_hash_type(headers);
    return NIL_P(hash) ? Qnil : rb_hash_lookup(hash, rb_str_new_cstr("rack.protocol"));
  });
  if (!RB_TYPE_P(protocol, T_STRING)) return false;
  if (char const* const obstacle = upgrade_obstacle(to)) {
    throw kino::raise(rb_eArgError, std::string("kino: the response has status 101, but ") + obstacle);
  }
  if (to.response().start_upgrade(bytes_of(protocol)) != problem::none) {
    throw kino::raise(rb_eArgError, "kino: the response header \"rack.protocol\" => " + inspected(held, protocol) +
                                        " is not the name of a protocol");
  }
  return true;
}

// The Integer that an object stands for, as a String of digits does; nil if it stands for none.
VALUE integer_of(gvl const& held, VALUE object) {
  return kino::protect(held, [&] {
    VALUE const options = rb_hash_new();
    rb_hash_aset(options, ID2SYM(rb_intern("exception")), Qfalse);
    VALUE const arguments[] = {object, options};
    return rb_funcallv_kw(rb_mKernel, rb_intern("Integer"), 2, arguments, RB_PASS_KEYWORDS);
  });
}

// Describes the response by its status and headers.
response_head& read_head(gvl const& held, exchange& to, VALUE status, VALUE headers) {
  reading seen{&to.response(), nullptr};
  VALUE const number = FIXNUM_P(status) ? status : integer_of(held, status);
  if (!RB_INTEGER_TYPE_P(number)) {
    throw kino::raise(rb_eTypeError, "kino: the response status is not a number but " + inspected(held, status));
  }
  long const code = FIXNUM_P(number) ? FIX2LONG(number) : -1;  // a larger Integer is no status either
  if (code == 101 && start_upgrade(held, to, headers)) {
    read_fields(held, seen, headers);
    return *seen.head;
  }
  problem const bad = seen.head->start(code);
  if (bad == problem::interim_status) {
    throw kino::raise(rb_eArgError, "kino: the response status " + std::to_string(code) +
                                        " is an interim status; the final response needs one of "
                                        "200 to 999" + (code == 101 ? ", or the header rack.protocol" : ""));
  }
  if (bad != problem::none) {
    throw kino::raise(rb_eArgError, "kino: the response status " + inspected(held, number) + " is not between 200 and 999");
  }
  read_fields(held, seen, headers);
  return *seen.head;
}

// The Strings of a body as pieces.
class pieces_of_body {
public:
  pieces_of_body(gvl const& held, VALUE body) {
    if (NIL_P(body)) return;
    if (RB_TYPE_P(body, T_STRING)) {
      add(body);
      return;
    }
    kino::protect(held, [body] { Check_Type(body, T_ARRAY); });
    long const length = RARRAY_LEN(body);
    for (long i = 0; i < length; ++i) {
      VALUE const one = RARRAY_AREF(body, i);
      if (!RB_TYPE_P(one, T_STRING)) {
        throw kino::raise(rb_eTypeError, "kino: the response body's element " +
                                             std::to_string(i) + " is not a String but " +
                                             inspected(held, one));
      }
      add(one);
    }
  }
  [[nodiscard]] std::uint64_t length() const { return total_; }
  [[nodiscard]] std::span<iovec const> all() const { return {many_.empty() ? few_.data() : many_.data(), count_}; }

private:
  void add(VALUE string) {
    std::string_view const bytes = bytes_of(string);
    if (bytes.empty()) return;
    total_ += bytes.size();
    if (count_ == few_.size() && many_.empty()) many_.assign(few_.begin(), few_.end());
    if (many_.empty()) {
      few_[count_] = piece(bytes);
    } else {
      many_.push_back(piece(bytes));
    }
    ++count_;
  }

  std::array<iovec, 16> few_;
  std::vector<iovec> many_;
  std::size_t count_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

void define_rack_response() {
  partial_hijack = rb_define_class_under(rb_define_module("Kino"), "PartialHijack", rb_eStandardError);
  rb_gc_register_mark_object(partial_hijack);
}

void send_response(gvl const& held, worker_context& at, VALUE status, VALUE headers, VALUE body) {
  exchange& to = exchange::of(at.reply);
  response_head& head = read_head(held, to, status, headers);
  // Read last: up to here the application's own code may have run and changed the body.
  pieces_of_body const pieces(held, body);
  bool const silent = to.head().head_only() || head.bodiless();
  if (!silent && head.set_length(pieces.length()) != problem::none) {
    throw kino::raise(rb_eArgError, "kino: the response has content-length " +
                                        std::to_string(*head.content_length()) +
                                        " and a body of " + std::to_string(pieces.length()) +
                                        " bytes");
  }
  at.count_served();
  at.reply.answer({.head = &head, .data = pieces.all(), .end = true, .gather = flush_on_suspend::enabled()});
  if (to.gathered()) flush_on_suspend::note(to);
  RB_GC_GUARD(body);
}

response_head& describe_upgrade(gvl const& held, exchange& to, std::string_view protocol, VALUE headers) {
  reading seen{&to.response(), nullptr};
  static_cast<void>(seen.head->start_upgrade(protocol));
  read_fields(held, seen, headers);
  return *seen.head;
}

response_head& describe_stream(gvl const& held, exchange& to, VALUE headers) { return read_head(held, to, INT2FIX(200), headers); }

void send_early_hints(gvl const& held, worker_context& at, VALUE headers) {
  response_head hints;
  static_cast<void>(hints.start_interim(103));
  reading seen{&hints, nullptr};
  read_fields(held, seen, headers);
  if (at.reply) static_cast<void>(exchange::of(at.reply).send_interim(hints));  // A client that has left needs none.
}

void read_trailers(gvl const& held, exchange& to, VALUE trailers) {
  to.trailers().clear();
  if (NIL_P(trailers)) return;
  reading seen{nullptr, &to.trailers()};
  read_fields(held, seen, trailers);
}

response_writer begin_response(gvl const& held, worker_context& at, VALUE status, VALUE headers,
                               std::optional<std::uint64_t> length) {
  exchange& to = exchange::of(at.reply);
  response_head& head = read_head(held, to, status, headers);
  if (length && head.content_length().value_or(*length) != *length) {
    throw kino::raise(rb_eArgError, "kino: the response has two lengths, " +
                                        std::to_string(*length) + " and content-length " +
                                        std::to_string(*head.content_length()));
  }
  // If there will be no body, only the application can know how long it would be.
  bool const silent = to.head().head_only() || head.bodiless();
  if (length && !silent) static_cast<void>(head.set_length(*length));
  if (head.upgrades()) at.input.cut();  // It has read the request's body; what follows is read from the stream.
  return response_writer(at.reply);
}

}  // namespace kino::server
