// SPDX-License-Identifier: MIT

#include "rack/rack_trailers.hpp"

#include "http/grammar.hpp"

#include <algorithm>
#include <string_view>

namespace kino::server {

namespace {

VALUE no_trailers = Qnil;

// Raises.
VALUE hash_of(field_section const& fields) {
  VALUE const hash = rb_hash_new();
  for (field_section::field const& one : fields.all()) {
    if (one.repeated) continue;
    std::string_view const name = fields.name(one);
    VALUE const key = rb_utf8_str_new(name.data(), static_cast<long>(name.size()));
    std::transform(name.begin(), name.end(), RSTRING_PTR(key), grammar::lower);
    VALUE const value = rb_str_new(nullptr, static_cast<long>(fields.joined_size(one)));
    fields.copy_joined(one, RSTRING_PTR(value));
    rb_hash_aset(hash, rb_str_freeze(key), rb_str_freeze(value));
  }
  return rb_obj_freeze(hash);
}

}  // namespace

void rack_trailers::define(gvl const& held) {
  kino::protect(held, [] {
    no_trailers = rb_ractor_make_shareable(rb_hash_new());
    rb_gc_register_mark_object(no_trailers);
  });
}

VALUE rack_trailers::none() { return no_trailers; }

VALUE rack_trailers::make(gvl const& held, field_section const& trailers) {
  if (trailers.all().empty()) return no_trailers;
  return kino::protect(held, [&trailers] { return hash_of(trailers); });
}

}  // namespace kino::server
