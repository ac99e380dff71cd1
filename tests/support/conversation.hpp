// SPDX-License-Identifier: MIT
//
// Random requests for the simulation, and the parser with which its client reads the responses.

#pragma once

#include "stress.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace simulation_test {

/// What a handler does with a request.
enum class manner : std::uint32_t { whole, streamed, streamed_with_length, unread, unanswered, from_file, tunneled, taken_over };

/// One request and the expected response.
struct conversation {
  manner how = manner::whole;
  bool head_only = false;
  std::string sent_body;
  std::string wanted_body;
  std::string sent_trailer;    // value of the trailer behind the body, if there is one
  std::string wanted_trailer;  // ... of the answer's, which the client takes
  int wanted_status = 200;
  bool last = false;      // its response ends the connection
  std::size_t end = 0;    // where the request ends in the client's bytes
};

inline std::string pattern(std::size_t length, std::size_t salt) {
  std::string made(length, '\0');
  for (std::size_t i = 0; i < length; ++i) made[i] = static_cast<char>('a' + (i * 7 + i / 251 + salt) % 26);
  return made;
}

/// A response as the client has parsed it.
struct received {
  int status = 0;
  bool complete = false;
  std::string body;
  std::string trailer;
};

/// Removes the next final response from the front of `bytes`.
inline received next_answer(std::string_view& bytes, bool head_only, bool at_end) {
  for (;;) {
    std::size_t const end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) return {};
    std::string_view const head = bytes.substr(0, end + 2);
    received taken{std::atoi(head.data() + sizeof "HTTP/1.1"), false, {}, {}};
    std::string_view rest = bytes.substr(end + 4);
    if (taken.status == 101) {  // What follows is the tunnel's, until the connection ends.
      taken.complete = at_end;
      taken.body = rest;
      bytes = {};
      return taken;
    }
    if (taken.status < 200) {
      bytes = rest;
      continue;
    }
    if (std::size_t const at = head.find("ontent-length: "); at != head.npos || head_only) {
      std::size_t const length = head_only ? 0 : std::strtoul(head.data() + at + 15, nullptr, 10);
      taken.complete = rest.size() >= length;
      taken.body = rest.substr(0, length);
      rest.remove_prefix(taken.body.size());
    } else if (head.find("ransfer-encoding: chunked") != head.npos) {
      for (;;) {
        std::size_t const line = rest.find("\r\n");
        if (line == rest.npos) return taken;
        std::size_t const length = std::strtoul(rest.data(), nullptr, 16);
        if (length == 0) break;
        if (rest.size() < line + 4 + length) return taken;
        taken.body += rest.substr(line + 2, length);
        rest.remove_prefix(line + 4 + length);
      }
      // The last chunk, perhaps a trailer, and an empty line.
      std::size_t const stop = rest.find("\r\n\r\n");
      if (stop == rest.npos) return taken;
      std::string_view const trailers = rest.substr(0, stop);
      if (std::size_t const at = trailers.find("x-check: "); at != trailers.npos) taken.trailer = trailers.substr(at + 9);
      rest.remove_prefix(stop + 4);
      taken.complete = true;
    } else {
      taken.body = rest;
      taken.complete = at_end;
      rest = {};
    }
    bytes = rest;
    return taken;
  }
}

inline std::size_t some_length(stress::dice& chance) {
  if (chance.once_in(12)) return chance.below(300'000);
  return chance.once_in(3) ? 0 : chance.below(300);
}

/// Appends a request to `wire`, the bytes that the client sends.
inline conversation make_request(stress::dice& chance, std::string& wire, std::size_t client, std::size_t number,
                                 std::size_t max_keep_alive) {
  conversation made;
  made.how = static_cast<manner>(chance.once_in(2) ? 0 : chance.below(6));
  if (made.how == manner::unanswered && !chance.once_in(5)) made.how = manner::unread;
  made.head_only = chance.once_in(8);
  bool const old = chance.once_in(20);
  bool const close = old || chance.once_in(15);
  bool const has_body = !made.head_only && chance.once_in(3);
  if (has_body) made.sent_body = pattern(some_length(chance), client + number);
  made.wanted_body = pattern(some_length(chance), client * 3 + number);
  if (made.how == manner::unanswered) made.wanted_status = 500;
  made.last = close || made.how == manner::unanswered || number + 1 >= max_keep_alive;
  wire += made.head_only ? "HEAD" : has_body ? "POST" : "GET";
  wire += " /" + std::to_string(client) + "/" + std::to_string(number) + (old ? " HTTP/1.0" : " HTTP/1.1") + "\r\nHost: x\r\n";
  if (close) wire += "Connection: close\r\n";
  if ((client + number) % 3 == 0) {
    wire += "TE: trailers\r\n";
    if (made.how == manner::streamed && !made.head_only && !old) made.wanted_trailer = pattern(1 + number * 7, number);
  }
  if (has_body && !old && chance.once_in(4)) wire += "Expect: 100-continue\r\n";
  if (has_body && !old && chance.once_in(2)) {
    wire += "Transfer-Encoding: chunked\r\n\r\n";
    for (std::string_view rest = made.sent_body; !rest.empty();) {
      std::size_t const length = std::min<std::size_t>(rest.size(), rest.size() / 10 + 1 + chance.below(5000));
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", length);
      wire += size + std::string(rest.substr(0, length)) + "\r\n";
      rest.remove_prefix(length);
    }
    wire += "0\r\n";
    if ((client + number) % 2 == 0) {
      made.sent_trailer = pattern(1 + number * 5, client);
      wire += "X-Check: " + made.sent_trailer + "\r\nHost: dropped\r\n";
    }
    wire += "\r\n";
  } else {
    if (has_body) wire += "Content-Length: " + std::to_string(made.sent_body.size()) + "\r\n";
    wire += "\r\n" + made.sent_body;
  }
  return made;
}

/// Appends a request for a tunnel or a takeover, and what the client sends behind it.
inline conversation make_tunnel(stress::dice& chance, std::string& wire, std::size_t client, std::size_t number) {
  conversation made;
  made.how = chance.once_in(2) ? manner::tunneled : manner::taken_over;
  made.wanted_status = 101;
  made.last = true;
  // More than the buffers between the client and the application hold.
  bool const much = made.how == manner::taken_over && chance.once_in(4);
  made.sent_body = pattern(much ? 400'000 + chance.below(200'000) : some_length(chance), client + number);
  made.wanted_body = pattern(some_length(chance), client * 3 + number);
  wire += "GET /" + std::to_string(client) + "/" + std::to_string(number) + " HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
  made.end = wire.size();
  wire += made.sent_body;
  return made;
}

}  // namespace simulation_test
