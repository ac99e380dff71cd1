// SPDX-License-Identifier: MIT
//
// Kino::Native::Stream: a response that is written piece by piece.

#pragma once

#include "base/byte_buffer.hpp"
#include "rack/worker_context.hpp"

#include <kino/extension.hpp>

#include <string_view>

namespace kino::server {

/// A rack_stream is what a callable body gets: it writes the response and reads the request.
///
/// It is valid until its worker takes the next request; afterwards it is closed. Writing waits,
/// with the GVL released and open to interrupts, while the client is slower than the writer.
///
/// Closing it completes the response. After `expect_trailers` it only ends the body, and `close_with` completes the response.
class rack_stream {
public:
  static constexpr char const* ruby_name = "Kino::Native::Stream";

  explicit rack_stream(worker_context& at) : tie_(at.stream, at) {}

  static void define(gvl const& held, VALUE native);
  /// A Stream for the response that the writer of `at` has begun.
  [[nodiscard]] static VALUE make(gvl const& held, worker_context& at);

private:
  static VALUE write(gvl const& held, VALUE self, VALUE bytes);
  static VALUE pour(gvl const& held, VALUE self, VALUE body);
  static VALUE pour_block(VALUE piece, VALUE self, int, VALUE const*, VALUE);
  static VALUE pour_file(gvl const& held, VALUE self, VALUE descriptor, VALUE offset, VALUE length);
  static VALUE append(gvl const& held, VALUE self, VALUE bytes);
  static VALUE flush(gvl const& held, VALUE self);
  static VALUE close(gvl const& held, VALUE self);
  static VALUE expect_trailers(gvl const& held, VALUE self);
  static VALUE close_with(gvl const& held, VALUE self, VALUE trailers);
  static VALUE close_read(gvl const& held, VALUE self);
  static VALUE close_write(gvl const& held, VALUE self);
  static VALUE closed(gvl const& held, VALUE self);
  static VALUE abort(gvl const& held, VALUE self);
  static VALUE head_sent(gvl const& held, VALUE self);
  static VALUE read(gvl const& held, VALUE self, kino::arguments all);
  static VALUE read_partial(gvl const& held, VALUE self, kino::arguments all);

  [[nodiscard]] response_writer& open_writer() const;
  [[nodiscard]] worker_context& readable() const;
  void finish(worker_context& at, response_trailers const* trailers);
  [[nodiscard]] bool finish_with(gvl const& held, int file, std::uint64_t offset, std::uint64_t length);
  bool put(std::string_view bytes);
  void put_all(gvl const& held, VALUE string);

  attachment tie_;
  byte_buffer ahead_;
  bool writing_ = false;  // a thread waits in write
  bool expects_trailers_ = false;
  bool closed_ = false;  // for writing, but the trailers are still to come
  bool head_sent_ = false;
};

}  // namespace kino::server
