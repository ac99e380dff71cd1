// SPDX-License-Identifier: MIT
//
// How what a client sends is cut into requests.

#include "http1/http1_protocol.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

std::span<char> http1_protocol::read_space(std::span<char> scratch) {
  if (reads_into_body()) return body_room();
  return current_ || tunnel_ ? scratch : scratch.first(tuning::head_read_size);
}

bool http1_protocol::received(std::span<char> space, std::size_t length) {
  std::string_view const bytes(space.data(), length);
  if (may_become_http2_ && begins_http2(bytes)) return false;
  if (tunnel_) {
    receive_tunneled(bytes);
    return length == space.size() && wants_input();
  }
  if (reads_into_body()) {
    received_body(length);
  } else {
    unparsed_.append(parse(bytes));
  }
  // The rest of a body is probably there. Anything else that is left is announced again.
  return length == space.size() && reads_into_body();
}

// Looks at the first bytes of the client. Takes them if they are the beginning of HTTP/2, or may be. Its preface is
// chosen so that no HTTP/1 server takes it for a request (RFC 9113, 3.4). A client that has agreed on a protocol may
// speak no other: a proxy may have decided by that what it lets through.
bool http1_protocol::begins_http2(std::string_view bytes) {
  std::string_view const agreed = transport_.application_protocol();
  if (agreed == "http/1.1") return may_become_http2_ = false;
  constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  std::string_view all = bytes;
  if (!unparsed_.empty()) {
    unparsed_.append(bytes);
    all = unparsed_.view();
  }
  std::size_t const compared = std::min(all.size(), preface.size());
  bool const equal = all.substr(0, compared) == preface.substr(0, compared);
  if (agreed == "h2" || (equal && compared == preface.size())) {
    alarm_.stop();
    host_.become(shared_.http2(shared_, host_, transport_), all);
    return true;
  }
  if (equal && unparsed_.empty()) unparsed_.append(bytes);
  may_become_http2_ = equal;
  if (equal || unparsed_.empty()) return equal;
  byte_buffer first;
  first.swap(unparsed_);
  unparsed_.append(parse(first.view()));
  return true;
}

void http1_protocol::input_ended() {
  if (tunnel_) {
    tunnel_->body().finish();
    end_tunnel();
    if (linger_due_) host_.close();
    return;
  }
  pipeline_.peer_ended();
  last_request_ = true;
  if (current_) {  // A request that was not complete never will be.
    exchange& cut_off = *std::exchange(current_, nullptr);
    if (std::exchange(body_held_, false)) {
      reply_ = pipeline_.recall(cut_off);
      cut_off.body().fail(client_left);
      cut_off.drop_weak();
    }
    if (!parser_.in_head()) reply_.answer({.end = true});  // In its turn, it ends the connection.
    reply_ = {};
  }
  // Requests before it are still answered: the client may have ended its own side only.
  pipeline_.close_after_last();
}

// Returns what is behind a full queue, to be parsed when reading is resumed.
std::string_view http1_protocol::parse(std::string_view bytes) {
  while (!bytes.empty() && !last_request_ && open_) {
    if (!current_ && !begin_request()) return bytes;
    bool const had_started = parser_.started();
    bool const had_head = !parser_.in_head();
    auto const result = parser_.parse(bytes);
    bytes.remove_prefix(result.consumed);
    switch (result.what) {
      case http_parser::state::complete:
        request_complete(!bytes.empty());
        if (!wants_input()) return bytes;  // They may not be a request.
        break;
      case http_parser::state::rejected: refuse(parser_.why()); return {};
      case http_parser::state::incomplete:
        if (parser_.in_head()) {
          if (!had_started) receiving_since_ = clock::now();
          alarm_.set(receiving_since_ + limits_.header_timeout);
        } else {
          if (!had_head) receiving_.start(clock::now());
          if (hand_over_due_) hand_over();
          await_body(had_head ? result.consumed : 0);
        }
        break;
    }
  }
  return {};
}

}  // namespace kino::server
