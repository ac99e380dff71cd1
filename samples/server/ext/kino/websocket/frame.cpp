// SPDX-License-Identifier: MIT

#include "websocket/frame.hpp"

namespace kino::server {

frame_head::frame_head(opcode kind, std::uint64_t payload, bool compressed) {
  bytes_[0] = static_cast<char>((compressed ? 0xc0 : 0x80) | static_cast<unsigned>(kind));
  std::size_t const width = payload < 126 ? 0 : payload < 65536 ? 2 : 8;
  bytes_[1] = static_cast<char>(width == 0 ? payload : width == 2 ? 126 : 127);
  for (std::size_t i = width; i != 0; --i) bytes_[length_++] = static_cast<char>(payload >> (8 * (i - 1)));
}

shared_frame encode_frame(opcode kind, std::string_view payload, bool compressed) {
  frame_head const head(kind, payload.size(), compressed);
  auto const made = std::make_shared<std::string>();
  made->reserve(head.bytes().size() + payload.size());
  made->append(head.bytes()).append(payload);
  return made;
}

shared_frame encode_close(std::uint16_t status) {
  char const text[] = {static_cast<char>(status >> 8), static_cast<char>(status)};
  return encode_frame(opcode::close, {text, status == close_code::none ? 0 : sizeof text});
}

}  // namespace kino::server
