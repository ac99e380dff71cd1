// SPDX-License-Identifier: MIT

#include "websocket/compression.hpp"

#include "base/byte_buffer.hpp"

#include <array>
#include <memory>
#include <new>

#ifdef KINO_ZLIB
#include <zlib.h>
#endif

namespace kino::server {

#ifdef KINO_ZLIB

namespace {

// Both sides leave out how each message ends (RFC 7692, 7.2.1): an empty block.
constexpr std::string_view message_end("\0\0\xff\xff", 4);

Bytef* bytes_of(char const* data) { return reinterpret_cast<Bytef*>(const_cast<char*>(data)); }

// A compressor of one message after the other.
class compressor {
public:
  explicit compressor(int window_bits) {
    // Level 1 takes a quarter of the time of the default, for a fifth more bytes. With a small window, zlib moves its tables
    // often: they must be small, too.
    int const memory = window_bits == 15 ? 8 : 4;
    if (deflateInit2(&stream_, 1, Z_DEFLATED, -window_bits, memory, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  }
  compressor(compressor const&) = delete;
  ~compressor() { deflateEnd(&stream_); }

  // Returns whether `into` has it now, without its end and smaller than it was.
  [[nodiscard]] bool compress(std::string_view data, byte_buffer& into) {
    deflateReset(&stream_);
    char* const room = into.prepare(data.size());
    stream_.next_out = bytes_of(room);
    stream_.avail_out = static_cast<uInt>(data.size());
    stream_.next_in = bytes_of(data.data());
    stream_.avail_in = static_cast<uInt>(data.size());
    // If room is left, all of it has been flushed.
    if (deflate(&stream_, Z_SYNC_FLUSH) != Z_OK || stream_.avail_out == 0) return false;
    into.commit(data.size() - stream_.avail_out - message_end.size());
    return true;
  }

private:
  z_stream stream_{};
};

// A decompressor of one message after the other.
class decompressor {
public:
  decompressor() {
    if (inflateInit2(&stream_, -15) != Z_OK) throw std::bad_alloc();
  }
  decompressor(decompressor const&) = delete;
  ~decompressor() { inflateEnd(&stream_); }

  [[nodiscard]] std::uint16_t decompress(std::string_view compressed, std::size_t longest, std::string& into) {
    inflateReset(&stream_);
    for (std::string_view const part : {compressed, message_end}) {
      stream_.next_in = bytes_of(part.data());
      stream_.avail_in = static_cast<uInt>(part.size());
      if (std::uint16_t const refused = drain(longest, into)) return refused;
    }
    // Cut off if it does not end between two blocks.
    constexpr int between_blocks = 128;
    return (stream_.data_type & between_blocks) != 0 ? 0 : close_code::invalid_data;
  }

private:
  // Decompresses what is there.
  std::uint16_t drain(std::size_t longest, std::string& into) {
    std::array<char, 16 * 1024> made;
    do {
      stream_.next_out = bytes_of(made.data());
      stream_.avail_out = made.size();
      int const result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_MEM_ERROR) throw std::bad_alloc();
      if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) return close_code::invalid_data;
      std::size_t const length = made.size() - stream_.avail_out;
      if (length > longest - into.size()) return close_code::message_too_big;
      into.append(made.data(), length);
      // A message may consist of several streams (RFC 7692, 7.2.3.4).
      if (result == Z_STREAM_END) inflateReset(&stream_);
    } while (stream_.avail_in != 0 || stream_.avail_out == 0);
    return 0;
  }

  z_stream stream_{};
};

// That of this thread.
template <int window_bits>
compressor& compressor_of_thread() {
  thread_local std::unique_ptr<compressor> own;
  if (!own) own = std::make_unique<compressor>(window_bits);
  return *own;
}

}  // namespace

bool has_compression() noexcept { return true; }

shared_frame encode_message(opcode kind, std::string_view data, dialect to) {
  // zlib counts in 32 bits.
  if (!compresses(to) || data.size() < least_compressed || data.size() > UINT32_MAX) return encode_frame(kind, data);
  compressor& with = to == dialect::deflated ? compressor_of_thread<15>() : compressor_of_thread<9>();
  byte_buffer compressed;
  if (!with.compress(data, compressed)) return encode_frame(kind, data);
  return encode_frame(kind, compressed.view(), true);
}

std::uint16_t decompress_message(std::string_view compressed, std::size_t longest, std::string& into) {
  thread_local std::unique_ptr<decompressor> own;
  if (!own) own = std::make_unique<decompressor>();
  into.clear();
  return compressed.empty() ? 0 : own->decompress(compressed, longest, into);
}

#else

bool has_compression() noexcept { return false; }

shared_frame encode_message(opcode kind, std::string_view data, dialect) { return encode_frame(kind, data); }

std::uint16_t decompress_message(std::string_view, std::size_t, std::string&) { return close_code::invalid_data; }

#endif

}  // namespace kino::server
