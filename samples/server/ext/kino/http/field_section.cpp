// SPDX-License-Identifier: MIT

#include "http/field_section.hpp"

#include "base/options.hpp"
#include "http/field_groups.hpp"
#include "http/field_list.hpp"
#include "http/field_name.hpp"
#include "http/grammar.hpp"

#include <algorithm>
#include <span>

namespace kino::server {

namespace {

// Positions in the text have 32 bits.
static_assert(tuning::most_header_size < UINT32_MAX / 2);

// Not inlined: g++ 16 warns of reads behind the end of a literal that it has not seen to be excluded.
[[gnu::noinline]] bool same(std::string_view name, std::string_view known) {
  return folded_name(name) == folded_name(known);
}

constexpr std::string_view forwarded_prefix = "x-forwarded-";

// A field whose name begins with forwarded_prefix.
known_field identify_forwarded(std::string_view name) {
  std::string_view const what = name.substr(forwarded_prefix.size());
  auto const is = [what](std::string_view known) { return same(what, known); };
  if (is("for")) return known_field::x_forwarded_for;
  if (is("host")) return known_field::x_forwarded_host;
  if (is("port")) return known_field::x_forwarded_port;
  if (is("proto")) return known_field::x_forwarded_proto;
  if (is("scheme") || is("ssl")) return known_field::x_forwarded_scheme;
  return known_field::forwarding;
}

known_field identify(std::string_view name) {
  if (name.size() > forwarded_prefix.size() && (name.front() == 'x' || name.front() == 'X') &&
      same(name.substr(0, forwarded_prefix.size()), forwarded_prefix)) {
    return identify_forwarded(name);
  }
  auto const is = [name](std::string_view known) { return same(name, known); };
  switch (name.size()) {
    case 2: return is("te") ? known_field::te : known_field::other;
    case 4: return is("host") ? known_field::host : known_field::other;
    case 6:
      if (is("cookie")) return known_field::cookie;
      return is("expect") ? known_field::expect : known_field::other;
    case 7: return is("upgrade") ? known_field::upgrade : known_field::other;
    case 9:
      if (is("forwarded")) return known_field::forwarded;
      return is("x-real-ip") || is("client-ip") ? known_field::forwarding : known_field::other;
    case 10: return is("connection") ? known_field::connection : known_field::other;
    case 12: return is("content-type") ? known_field::content_type : known_field::other;
    case 14: return is("content-length") ? known_field::content_length : known_field::other;
    case 17: return is("transfer-encoding") ? known_field::transfer_encoding : known_field::other;
    default: return known_field::other;
  }
}

std::string_view separator_of(field_section::field const& f) { return f.known == known_field::cookie ? "; " : ", "; }

}  // namespace

void field_section::clear(std::size_t keep) {
  text_.clear(keep);
  fields_.clear();
  if (fields_.capacity() > tuning::kept_fields) {
    fields_.shrink_to_fit();
    order_ = {};
  }
  next_start_ = 0;
  repeated_ = 0;
  bad_name_ = bad_value_ = false;
}

field_section::field const* field_section::find(known_field wanted) const {
  auto const found = std::find_if(fields_.begin(), fields_.end(), [wanted](field const& f) { return f.known == wanted; });
  return found == fields_.end() ? nullptr : &*found;
}

field_section::field const* field_section::find(std::string_view wanted) const {
  auto const found = std::find_if(fields_.begin(), fields_.end(), [&](field const& f) { return equal_ignoring_case(name(f), wanted); });
  return found == fields_.end() ? nullptr : &*found;
}

std::size_t field_section::joined_size(field const& first) const {
  std::size_t size = first.value_length;
  for (std::uint32_t at = first.next; at != 0; at = fields_[at].next) {
    size += separator_of(first).size() + fields_[at].value_length;
  }
  return size;
}

void field_section::copy_joined(field const& first, char* out) const {
  auto const write = [&out](std::string_view bytes) { out = std::copy(bytes.begin(), bytes.end(), out); };
  write(value(first));
  for (std::uint32_t at = first.next; at != 0; at = fields_[at].next) {
    write(separator_of(first));
    write(value(fields_[at]));
  }
}

void field_section::end_name() {
  current_ = {};
  current_.name_start = next_start_;
  current_.name_length = end() - next_start_;
  std::string_view const name = this->name(current_);
  bad_name_ |= name.empty();  // llhttp 8 lets ": value" through.
  for (char const c : name) {
    bad_name_ |= !grammar::in_token(c);
    current_.underscored |= c == '_';
    current_.dashed |= c == '-';
  }
  current_.hash = folded_name(name).hash();
  current_.known = identify(name);
}

void field_section::end_value() {
  std::uint32_t const start = current_.name_start + current_.name_length;
  std::string_view value = text_.view().substr(start);
  bad_value_ |= !grammar::all_in_value(value);
  while (!value.empty() && grammar::is_blank(value.back())) value.remove_suffix(1);
  current_.value_length = static_cast<std::uint32_t>(value.size());
  text_.truncate(start + value.size());
  next_start_ = end();
  fields_.push_back(current_);
}

void field_section::add(std::string_view name, std::string_view value) {
  append_name(name);
  end_name();
  append_value(value);
  end_value();
}

rejection field_section::finish() {
  if (bad_name_) return {400, "a field name has invalid characters"};
  if (bad_value_) return {400, "a field value has control characters"};
  return find_repeated();
}

rejection field_section::find_repeated() {
  rejection found;
  auto const link = [&](std::span<std::uint64_t const> same) {
    // Names with dashes only, or underscores only, are equal if their folded forms are; repeated names that mix both
    // are rejected without comparing them.
    auto const dashes = [&](std::uint64_t field) { return !fields_[field].underscored; };
    auto const underscores = [&](std::uint64_t field) { return !fields_[field].dashed; };
    if (!std::all_of(same.begin(), same.end(), dashes) && !std::all_of(same.begin(), same.end(), underscores)) {
      found = {400, "a repeated field name mixes dashes and underscores"};
    }
    for (std::size_t i = 1; i < same.size(); ++i) {
      fields_[same[i - 1]].next = static_cast<std::uint32_t>(same[i]);
      fields_[same[i]].repeated = true;
    }
    repeated_ += same.size() - 1;
  };
  for_each_repeated(
      order_, fields_.size(), [&](std::size_t field) { return fields_[field].hash; },
      [&](std::size_t field) { return folded_name(name(fields_[field])); }, link);
  return found;
}

}  // namespace kino::server
