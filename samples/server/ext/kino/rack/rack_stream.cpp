// SPDX-License-Identifier: MIT

#include "rack/rack_stream.hpp"

#include "rack/file_reading.hpp"
#include "rack/flush_on_suspend.hpp"
#include "rack/rack_input.hpp"
#include "rack/rack_response.hpp"
#include "rack/read_call.hpp"

#include <kino/convert.hpp>
#include <kino/wait.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kino::server {

namespace {

using native = kino::native_object<rack_stream>;
using result = response_writer::result;

VALUE stream_class = Qnil;

// How much of one String is handed on before the writer waits for the client.
constexpr std::size_t slice = 2 * tuning::write_buffer;

[[noreturn]] void raise_gone() {
  throw std::system_error(EPIPE, std::generic_category(), "kino: the client has disconnected");
}

void check(result what) {
  switch (what) {
    case result::ok:
    case result::above_high_watermark: return;
    case result::gone: raise_gone();
    case result::too_long:
      throw kino::raise(rb_eIOError, "kino: the body is longer than its content-length");
    case result::too_short:
      throw kino::raise(rb_eIOError,
                        "kino: the body is shorter than its content-length; the connection "
                        "was cut");
  }
}

// Sleeps until the client has taken most of what waits for it.
void await_room(gvl const& held, exchange& to) {
  auto& spot = to.departures();
  while (to.await_room()) {
    kino::park(held, spot);
  }
}

// Marks a thread's stay in `write`: two at a time could not be told apart when one is woken.
class single_writer {
public:
  explicit single_writer(bool& busy) : busy_(busy) {
    if (busy_) {
      throw kino::raise(rb_eIOError, "kino: another thread is writing to this stream");
    }
    busy_ = true;
  }
  ~single_writer() { busy_ = false; }

private:
  bool& busy_;
};

}  // namespace

VALUE rack_stream::make(gvl const& held, worker_context& at) {
  return native::wrap(held, stream_class, std::make_unique<rack_stream>(at));
}

response_writer& rack_stream::open_writer() const {
  if (closed_ || !tie_.at() || tie_.at()->writer.finished()) {
    throw kino::raise(rb_eIOError, "kino: the stream is closed");
  }
  return tie_.at()->writer;
}

// Hands `bytes` to the writer; returns whether there is reason to wait for room.
bool rack_stream::put(std::string_view bytes) {
  response_writer& writer = open_writer();
  if (writer.completed_by(bytes.size())) tie_.at()->count_served();
  result const what = writer.write(bytes);
  head_sent_ = writer.head_sent();
  check(what);
  flush_on_suspend::note(writer.to());
  return what == result::above_high_watermark;
}

void rack_stream::put_all(gvl const& held, VALUE string) {
  std::string_view rest = kino::bytes_of(held, string);
  if (rest.size() <= slice && !writing_) {
    // Copied or sent before another thread gets the GVL.
    if (!put(rest)) return;
    rest = {};
  } else {
    // A frozen copy, which shares its memory: another thread may change the String meanwhile.
    string = kino::protect(held, [string] { return rb_str_new_frozen(string); });
  }
  exchange& to = open_writer().to();
  exchange_hold const kept(to);
  single_writer const alone(writing_);
  await_room(held, to);
  while (!rest.empty()) {
    std::string_view const next = rest.substr(0, slice);
    rest.remove_prefix(next.size());
    if (put(next)) await_room(held, to);
  }
  RB_GC_GUARD(string);
}

VALUE rack_stream::write(gvl const& held, VALUE self, VALUE bytes) {
  VALUE string = bytes;
  if (!RB_TYPE_P(bytes, T_STRING)) {
    string = kino::protect(held, [bytes] { return rb_obj_as_string(bytes); });
  }
  long const length = RSTRING_LEN(string);
  native::get(held, self).put_all(held, string);
  RB_GC_GUARD(string);
  return LONG2FIX(length);
}

// What `pour` passes to `each`: a block without a Ruby frame.
VALUE rack_stream::pour_block(VALUE piece, VALUE self, int, VALUE const*, VALUE) {
  return kino::boundary([=](gvl const& held) {
    write(held, self, piece);
    return Qnil;
  });
}

VALUE rack_stream::pour(gvl const& held, VALUE self, VALUE body) {
  kino::protect(held, [=] {
    static ID const each = rb_intern("each");
    rb_block_call(body, each, 0, nullptr, &pour_block, self);
  });
  return native::get(held, self).head_sent_ ? Qtrue : Qfalse;
}

VALUE rack_stream::pour_file(gvl const& held, VALUE self, VALUE descriptor, VALUE offset, VALUE length) {
  rack_stream& me = native::get(held, self);
  auto const file = kino::from_ruby<int>(held, descriptor);
  auto at = kino::from_ruby<std::uint64_t>(held, offset);
  auto left = kino::from_ruby<std::uint64_t>(held, length);
  exchange& to = me.open_writer().to();
  exchange_hold const kept(to);
  single_writer const alone(me.writing_);
  if (me.finish_with(held, file, at, left)) return self;
  std::vector<char> buffer(std::min<std::uint64_t>(left, slice));
  while (left != 0) {
    std::size_t const got = read_file(held, file, {buffer.data(), std::min<std::uint64_t>(left, buffer.size())}, at);
    at += got;
    left -= got;
    if (me.put({buffer.data(), got})) await_room(held, to);
  }
  return self;
}

VALUE rack_stream::append(gvl const& held, VALUE self, VALUE bytes) {
  write(held, self, bytes);
  return self;
}

VALUE rack_stream::flush(gvl const& held, VALUE self) {
  rack_stream& me = native::get(held, self);
  response_writer& writer = me.open_writer();
  result const what = writer.flush();
  me.head_sent_ = writer.head_sent();
  check(what);
  return self;
}

// Ends the response with a file. False if another thread has to read the file.
bool rack_stream::finish_with(gvl const& held, int file, std::uint64_t offset, std::uint64_t length) {
  if (length < tuning::least_file || !open_writer().to().sends_files()) return false;
  auto range = range_of(held, file, offset, length);
  if (!range) return false;
  response_writer& writer = open_writer();
  tie_.at()->count_served();
  result const what = writer.finish(std::move(*range));
  flush_on_suspend::forget();
  head_sent_ = writer.head_sent();
  check(what);
  return true;
}

void rack_stream::finish(worker_context& at, response_trailers const* trailers) {
  at.count_served();
  result const what = at.writer.finish(trailers);
  flush_on_suspend::forget();
  head_sent_ = at.writer.head_sent();
  // A disconnected client is not an error when there is nothing more to write.
  if (what != result::gone) check(what);
}

VALUE rack_stream::close_write(gvl const& held, VALUE self) {
  rack_stream& me = native::get(held, self);
  me.closed_ = me.expects_trailers_;
  worker_context* const at = me.tie_.at();
  if (at && !me.closed_ && !at->writer.finished()) me.finish(*at, nullptr);
  return Qnil;
}

VALUE rack_stream::expect_trailers(gvl const& held, VALUE self) {
  native::get(held, self).expects_trailers_ = true;
  return self;
}

VALUE rack_stream::close_with(gvl const& held, VALUE self, VALUE trailers) {
  rack_stream& me = native::get(held, self);
  me.expects_trailers_ = false;
  if (worker_context* const at = me.tie_.at(); at && !at->writer.finished()) {
    exchange& to = at->writer.to();
    exchange_hold const kept(to);
    read_trailers(held, to, trailers);  // may run code of the application
    if (me.tie_.at() && !at->writer.finished()) me.finish(*at, &to.trailers());
  }
  return close_read(held, self);
}

VALUE rack_stream::close_read(gvl const& held, VALUE self) {
  rack_stream& me = native::get(held, self);
  if (worker_context* const at = me.tie_.at()) exchange::of(at->reply).close_body();
  return Qnil;
}

VALUE rack_stream::close(gvl const& held, VALUE self) {
  close_write(held, self);
  return close_read(held, self);
}

VALUE rack_stream::closed(gvl const& held, VALUE self) {
  worker_context* const at = native::get(held, self).tie_.at();
  bool const over = native::get(held, self).closed_ || !at || at->writer.finished() || at->writer.to().client_gone();
  return over ? Qtrue : Qfalse;
}

VALUE rack_stream::abort(gvl const& held, VALUE self) {
  if (worker_context* const at = native::get(held, self).tie_.at()) at->writer.abort();
  return Qnil;
}

VALUE rack_stream::head_sent(gvl const& held, VALUE self) {
  return native::get(held, self).head_sent_ ? Qtrue : Qfalse;
}

worker_context& rack_stream::readable() const {
  if (!tie_.at()) throw kino::raise(rb_eIOError, "kino: the stream is closed");
  return *tie_.at();
}

VALUE rack_stream::read(gvl const& held, VALUE self, kino::arguments all) {
  auto const [length, buffer] = read_call::of(held, all);
  rack_stream& me = native::get(held, self);
  return rack_input::read(held, me.readable(), me.ahead_, length, buffer);
}

VALUE rack_stream::read_partial(gvl const& held, VALUE self, kino::arguments all) {
  auto const [length, buffer] = read_call::of(held, all);
  rack_stream& me = native::get(held, self);
  return rack_input::read_partial(held, me.readable(), me.ahead_, length, buffer);
}

void rack_stream::define(gvl const& held, VALUE module) {
  stream_class = native::define_class(held, module, "Stream");
  kino::define_method<&rack_stream::write>(stream_class, "write");
  kino::define_method<&rack_stream::append>(stream_class, "<<");
  kino::define_method<&rack_stream::pour>(stream_class, "pour");
  kino::define_method<&rack_stream::pour_file>(stream_class, "pour_file");
  kino::define_method<&rack_stream::flush>(stream_class, "flush");
  kino::define_method<&rack_stream::close>(stream_class, "close");
  kino::define_method<&rack_stream::expect_trailers>(stream_class, "expect_trailers");
  kino::define_method<&rack_stream::close_with>(stream_class, "close_with");
  kino::define_method<&rack_stream::close_read>(stream_class, "close_read");
  kino::define_method<&rack_stream::close_write>(stream_class, "close_write");
  kino::define_method<&rack_stream::closed>(stream_class, "closed?");
  kino::define_method<&rack_stream::abort>(stream_class, "abort");
  kino::define_method<&rack_stream::head_sent>(stream_class, "head_sent?");
  kino::define_method<&rack_stream::read>(stream_class, "read");
  kino::define_method<&rack_stream::read_partial>(stream_class, "readpartial");
}

}  // namespace kino::server
