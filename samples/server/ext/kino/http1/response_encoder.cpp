// SPDX-License-Identifier: MIT

#include "http1/response_encoder.hpp"

#include "base/file_range.hpp"
#include "http/field_list.hpp"
#include "http/http_date.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace kino::server {

namespace {

// Everything in a head except its fields and the reason phrase: two numbers, and the fields that are added.
constexpr std::size_t room_for_rest = 256;

// Writes into room that has been reserved.
class writer {
public:
  explicit writer(char* at) : start_(at), at_(at) {}
  writer& operator<<(std::string_view bytes) {
    at_ = std::copy(bytes.begin(), bytes.end(), at_);
    return *this;
  }
  writer& number(std::uint64_t value, int base = 10) {
    at_ = std::to_chars(at_, at_ + 20, value, base).ptr;
    return *this;
  }
  [[nodiscard]] std::size_t length() const { return static_cast<std::size_t>(at_ - start_); }

private:
  char* start_;
  char* at_;
};

void write_status_line(writer& out, std::uint16_t code, std::string_view reason) {
  // HTTP/1.0 clients are answered with the version of the server, too (RFC 9110, 6.2).
  (out << "HTTP/1.1 ").number(code) << " " << reason << "\r\n";
}

std::size_t room_for(response_fields const& fields) { return fields.bytes() + fields.count() * 4; }

// The announcement of trailers, a field named "trailer", may be left out.
void write_fields(writer& out, response_fields const& fields, bool without_announcement = false) {
  fields.each([&](std::string_view name, std::string_view value) {
    if (without_announcement && equal_ignoring_case(name, "trailer")) return;
    out << name << ": " << value << "\r\n";
  });
}

}  // namespace

bool response_encoder::begin(response_part const& first) {
  response_head const& head = *first.head;
  state_.begun = true;
  state_.keep_alive = false;
  state_.length.begin(asked_, first, first.end && !first.upgrade && !sends_trailers(first));
  if (state_.length.bodiless()) {
    state_.how = framing::none;
  } else if (head.upgrades() || first.upgrade) {
    state_.how = framing::closing;  // The rest of the connection is not HTTP, or the rest of this response.
  } else if (state_.length.known()) {
    state_.how = framing::length;
  } else {
    state_.how = asked_.version == http_version::http_1_0 ? framing::closing : framing::chunked;
  }
  return asked_.keep_alive && !head.wants_close() && state_.how != framing::closing;
}

// Only chunks have a place for trailers.
bool response_encoder::sends_trailers(response_part const& part) const {
  return part.trailers && !part.trailers->fields().empty() && takes_trailers();
}

bool response_encoder::takes_trailers() const {
  return asked_.accepts_trailers && asked_.version != http_version::http_1_0;
}

std::optional<response_bytes> response_encoder::encode(response_part const& part) {
  response_bytes bytes;
  bytes.last = part.end;
  bytes.gather = part.gather;
  state_.bytes.clear(tuning::kept_capacity);
  if (!state_.begun) {  // No response: the connection ends.
    if (!part.upgrade) {
      bytes.how = exchange_end::disconnected;
    } else {
      bytes.status = 101;  // See upgrade.
      bytes.upgrade = part.upgrade;
    }
    return bytes;
  }
  std::size_t const length = length_of(part.data) + (part.file ? part.file->size() : 0);
  if (part.head) {
    bytes.status = part.head->status();
    bytes.tunnel = part.head->upgrades() && !part.end;
    write_head(*part.head);
  }
  if (state_.how != framing::none) bytes.body_bytes = length;
  bytes.keep_alive = state_.keep_alive;
  bytes.upgrade = part.upgrade;
  switch (state_.how) {
    case framing::none: break;
    case framing::length:
      if (!state_.length.take(length, part.end)) return std::nullopt;
      bytes.pieces = part.data;
      bytes.file = part.file;
      break;
    case framing::closing: bytes.pieces = part.data; break;
    case framing::chunked: return encode_chunk(part, length, bytes);
  }
  bytes.before = state_.bytes.view();
  return bytes;
}

response_bytes response_encoder::encode_chunk(response_part const& part, std::size_t length, response_bytes bytes) {
  if (length != 0) {
    writer size(state_.bytes.prepare(20));
    size.number(length, 16) << "\r\n";
    state_.bytes.commit(size.length());
    bytes.pieces = part.data;
    bytes.after = part.end ? "\r\n0\r\n\r\n" : "\r\n";
  } else if (part.end) {
    bytes.after = "0\r\n\r\n";
  }
  std::size_t const before = state_.bytes.size();
  if (part.end && sends_trailers(part)) {
    response_fields const& fields = part.trailers->fields();
    writer out(state_.bytes.prepare(room_for_rest + room_for(fields)));
    out << bytes.after.substr(0, bytes.after.size() - 2);
    write_fields(out, fields);
    out << "\r\n";
    state_.bytes.commit(out.length());
    bytes.after = state_.bytes.view().substr(before);
  }
  bytes.before = state_.bytes.view().substr(0, before);
  return bytes;
}

void response_encoder::write_head(response_head const& head) {
  writer out(state_.bytes.prepare(room_for_rest + head.reason().size() + room_for(head.fields())));
  write_status_line(out, head.status(), head.reason());
  write_fields(out, head.fields(), head.has_trailer() && !(state_.how == framing::chunked && takes_trailers()));
  if (!head.has_server() && !head.upgrades()) out << "server: kino\r\n";
  if (!head.has_date() && !head.upgrades()) out << "date: " << http_date() << "\r\n";
  if (state_.how == framing::chunked) out << "transfer-encoding: chunked\r\n";
  if (auto const stated = state_.length.stated()) (out << "content-length: ").number(*stated) << "\r\n";
  std::string_view const stay = head.upgrades() ? "" : !state_.keep_alive ? "close" : asked_.version == http_version::http_1_0 ? "keep-alive" : "";
  if (!stay.empty() || head.has_upgrade()) {
    out << "connection: " << stay;
    if (head.has_upgrade()) out << (stay.empty() ? "upgrade" : ", upgrade");
    out << "\r\n";
  }
  out << "\r\n";
  state_.bytes.commit(out.length());
}

void response_encoder::encode_brief(byte_buffer& out, brief_response const& what) {
  request const any;
  state progress;
  response_encoder encoder(any, progress);
  static_cast<void>(encoder.begin(what.whole()));
  auto const bytes = encoder.encode(what.whole());
  out.append(bytes->before);
  for (iovec const& one : bytes->pieces) out.append({static_cast<char const*>(one.iov_base), one.iov_len});
}

void response_encoder::encode_interim(byte_buffer& out, response_head const& what) {
  writer bytes(out.prepare(room_for_rest + what.reason().size() + room_for(what.fields())));
  write_status_line(bytes, what.status(), what.reason());
  write_fields(bytes, what.fields());
  bytes << "\r\n";
  out.commit(bytes.length());
}

}  // namespace kino::server
