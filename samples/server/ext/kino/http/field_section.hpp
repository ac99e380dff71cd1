// SPDX-License-Identifier: MIT
//
// field_section: the fields of one section of a message, as they were sent.

#pragma once

#include "base/byte_buffer.hpp"
#include "http/rejection.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kino::server {

/// Fields that mean something to the server itself.
enum class known_field : std::uint8_t {
  other,
  connection,
  content_length,
  content_type,
  cookie,
  expect,
  forwarded,
  forwarding,  ///< Another one in which proxies describe a client: X-Forwarded-*, X-Real-IP, Client-IP.
  host,
  te,
  transfer_encoding,
  upgrade,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_port,
  x_forwarded_proto,
  x_forwarded_scheme,  ///< One that says the same as x_forwarded_proto: X-Forwarded-Scheme or X-Forwarded-Ssl.
};

/// A field_section is the list of fields in the header or in the trailers of a message: names and values as they were sent, in the order
/// sent, in one buffer. Spaces and tabs around a value do not belong to it.
///
/// Names are equal if they are equal as folded_name. Fields of one name stay separate here, and the first one leads to
/// the others: `joined_size` and `copy_joined` give their values as the one value that they mean together, which a
/// reader can thus write once, to where it is needed.
///
/// The text of a section of n bytes takes n bytes. Finding equal names costs O(n log n) for any names.
///
/// Threads: one at a time; any number of readers once it is complete.  Throws: std::bad_alloc.
class field_section {
public:
  /// One field, as positions in the text.
  struct field {
    std::uint32_t name_start;
    std::uint32_t name_length;
    std::uint32_t value_length;  // the value follows the name
    std::uint32_t hash;          // of the folded name
    std::uint32_t next;          // index of the next field of this name; 0: none
    known_field known;
    bool underscored;  // the name has an underscore
    bool dashed;       // ... a dash
    bool repeated;     // a field before this one has its name
  };

  /// All fields, in the order sent.
  [[nodiscard]] std::vector<field> const& all() const { return fields_; }
  /// The number of different names.
  [[nodiscard]] std::size_t name_count() const { return fields_.size() - repeated_; }
  /// The first field of this name; null if there is none.
  [[nodiscard]] field const* find(known_field wanted) const;
  /// Likewise, by the name itself, in any case.
  [[nodiscard]] field const* find(std::string_view wanted) const;

  [[nodiscard]] std::string_view name(field const& f) const { return {text_.data() + f.name_start, f.name_length}; }
  /// The value of this field alone.
  [[nodiscard]] std::string_view value(field const& f) const {
    return {text_.data() + f.name_start + f.name_length, f.value_length};
  }
  /// The number of bytes of `first` and of all further fields of its name, joined with ", "; cookies with "; ".
  [[nodiscard]] std::size_t joined_size(field const& first) const;
  /// Copies them to `out`, which has room for `joined_size` bytes.
  void copy_joined(field const& first, char* out) const;

  // --- for protocols ---

  /// Forgets everything; keeps at most `keep` bytes of memory for text.
  void clear(std::size_t keep);

  /// Appends text that is no field, before the first field: it shares the buffer.
  void append_text(std::string_view bytes) {
    text_.append(bytes);
    next_start_ = end();
  }
  /// The whole text.
  [[nodiscard]] std::string_view text() const { return text_.view(); }

  /// Adds a field whose name and value may arrive in pieces: any number of `append_name`, `end_name`, any number of
  /// `append_value`, `end_value`.
  void append_name(std::string_view bytes) { text_.append(bytes); }
  void end_name();
  void append_value(std::string_view bytes) { text_.append(bytes); }
  void end_value();
  /// Adds a whole field.
  void add(std::string_view name, std::string_view value);

  /// Removes the fields for which `unwanted(name)` is true. Before `finish`.
  template <class Unwanted>
  void remove_if(Unwanted unwanted) {
    std::erase_if(fields_, [&](field const& f) { return unwanted(name(f)); });
  }

  /// Completes the section: rejects names and values with invalid characters, and finds equal names. Repeated names that
  /// are spelled with dashes and with underscores are rejected, since they would become one.
  [[nodiscard]] rejection finish();

private:
  [[nodiscard]] std::uint32_t end() const { return static_cast<std::uint32_t>(text_.size()); }
  [[nodiscard]] rejection find_repeated();

  byte_buffer text_;
  std::vector<field> fields_;
  std::vector<std::uint64_t> order_;  // scratch of find_repeated
  field current_{};
  std::uint32_t next_start_ = 0;  // in the text: of the field that is being added
  std::size_t repeated_ = 0;
  bool bad_name_ = false;
  bool bad_value_ = false;
};

}  // namespace kino::server
