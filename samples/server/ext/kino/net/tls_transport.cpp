// SPDX-License-Identifier: MIT

#include "net/tls_transport.hpp"

#include "http1/response_encoder.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace kino::server {

namespace {

constexpr std::size_t largest_record = 16 * 1024;
constexpr std::size_t record_header = 5;
// What encryption may add to the records that are read at once.
constexpr std::size_t overhead = 1024;

}  // namespace

tls_transport::tls_transport(std::unique_ptr<transport> lower, tls::context& with,
                             std::unique_ptr<handshake_observer> observes)
    : lower_(std::move(lower)), observer_(std::move(observes)) {
  tls::wire const wire{this, read_wire, write_wire};
  session_.reset(tls_library::get().make_session(&with, &wire));
  if (!session_) throw std::bad_alloc();
}

tls_transport::~tls_transport() {
  if (open_) close(ending::orderly);
}

// --- reading ----------------------------------------------------------------------

std::ptrdiff_t tls_transport::read_wire(void* self, char* into, std::size_t room) noexcept {
  return static_cast<tls_transport*>(self)->receive(into, room);
}

// BoringSSL asks for the header of a record, then for the rest: both come from one read.
std::ptrdiff_t tls_transport::receive(char* into, std::size_t room) noexcept {
  if (received_.empty()) {
    try {
      std::size_t const size = std::clamp(wanted_, largest_record, tls_transport::batch) + overhead;
      last_read_ = lower_->read_some({received_.prepare(size), size});
    } catch (std::bad_alloc const&) {
      last_read_ = {io_result::state::failed};
    }
    switch (last_read_.what) {
      case io_result::state::done: received_.commit(last_read_.bytes); break;
      case io_result::state::end: return 0;
      case io_result::state::failed: return tls::lost;
      case io_result::state::wants_readable:
      case io_result::state::wants_writable: return tls::would_block;
    }
  }
  std::size_t const length = std::min(room, received_.size());
  std::memcpy(into, received_.data(), length);
  received_.consume(length);
  return static_cast<std::ptrdiff_t>(length);
}

// Whether the session returns bytes without reading from the wire, or at least has a whole record to decrypt.
bool tls_transport::decryptable() const {
  if (tls_library::get().pending(session_.get()) != 0) return true;
  if (received_.size() < record_header) return false;
  auto const* const header = reinterpret_cast<unsigned char const*>(received_.data());
  return received_.size() >= record_header + header[3] * 256u + header[4];
}

io_result tls_transport::read_some(std::span<char> into) noexcept {
  std::lock_guard guard(mutex_);
  has_input_ = false;
  if (phase_ == phase::failed) return {io_result::state::failed};
  std::size_t total = 0;
  io_result got{io_result::state::done};
  while (got.done() && total != into.size() && (total == 0 || decryptable())) {
    wanted_ = into.size() - total;
    got = read_session(into.subspan(total));
    total += got.bytes;
  }
  if (received_.empty()) received_.clear(0);
  if (total == 0) return got;
  // The end that the client has announced, or an error, is reported by the next call.
  has_input_ = flight_unsent_ || (got.done() ? decryptable() : got.failed() || got.what == io_result::state::end);
  return {io_result::state::done, total};
}

io_result tls_transport::read_session(std::span<char> into) noexcept {
  std::size_t got = 0;
  tls::result const what = tls_library::get().read(session_.get(), into.data(), into.size(), &got);
  if (what == tls::result::failed) {
    fail();
    return {io_result::state::failed};
  }
  if (phase_ == phase::handshake) {
    flight_unsent_ = true;
    look_at_handshake();
  }
  io_result const sent = flush();
  if (sent.failed()) {
    fail();
    return {io_result::state::failed};
  }
  flight_unsent_ = flight_unsent_ && !sent.done();
  switch (what) {
    case tls::result::done: return {io_result::state::done, got};
    case tls::result::end: return {io_result::state::end};
    default: break;
  }
  // The client cannot go on with its handshake before it has our part of it.
  if (flight_unsent_) return sent;
  return {last_read_.what == io_result::state::wants_writable ? last_read_.what : io_result::state::wants_readable};
}

void tls_transport::look_at_handshake() noexcept {
  if (!tls_library::get().established(session_.get())) return;
  phase_ = phase::open;
  tls::agreement agreed;
  tls_library::get().agreed(session_.get(), &agreed);
  application_protocol_ = {agreed.protocol.data, agreed.protocol.size};
  if (observer_) observer_->succeeded(*session_);
  observer_.reset();
}

void tls_transport::fail() noexcept {
  bool const handshake = phase_ == phase::handshake;
  phase_ = phase::failed;
  char words[256];
  tls::failure const why = tls_library::get().why(session_.get(), words, sizeof words);
  if (why == tls::failure::plain_http) {
    answer_plain_http();
  } else {
    static_cast<void>(flush());  // the alert, which tells the client why
  }
  if (!handshake) return;
  if (observer_) observer_->failed(why, words);
  observer_.reset();
}

void tls_transport::answer_plain_http() noexcept {
  try {
    byte_buffer bytes;
    response_encoder::encode_brief(
        bytes, brief_response(400, "This port speaks HTTPS; the request was sent without TLS. Use an https:// URL."));
    iovec const one = piece(bytes.view());
    static_cast<void>(lower_->write_some({&one, 1}));
    // Closing while bytes of the client are unread would reset the connection, and it would lose the response.
    lower_->shutdown_write();
    std::array<char, 4096> unread;
    static_cast<void>(lower_->read_some(unread));
  } catch (std::bad_alloc const&) {  // Then it is closed without a word.
  }
}

// --- writing ----------------------------------------------------------------------

bool tls_transport::write_wire(void* self, char const* data, std::size_t size) noexcept {
  try {
    static_cast<tls_transport*>(self)->unsent_.append({data, size});
    return true;
  } catch (std::bad_alloc const&) {
    return false;
  }
}

// Sends what is encrypted; `done` if nothing of it is left.
io_result tls_transport::flush() noexcept {
  while (!unsent_.empty()) {
    iovec const one = piece(unsent_.view());
    io_result const sent = lower_->write_some({&one, 1});
    if (!sent.done()) return sent;
    unsent_.consume(sent.bytes);
  }
  unsent_.clear(0);  // An idle connection keeps no memory.
  return {io_result::state::done};
}

// Encrypts the next bytes of `pieces`, in full records if possible, and counts them in `ahead_`.
bool tls_transport::encrypt(std::span<iovec const> pieces, std::size_t skipped) noexcept {
  std::array<char, largest_record> gathered;
  std::size_t used = 0;
  auto const seal = [this](char const* data, std::size_t size) {
    ahead_ += size;
    return tls_library::get().write(session_.get(), data, size) == tls::result::done;
  };
  for (iovec const& one : pieces) {
    std::string_view left(static_cast<char const*>(one.iov_base), one.iov_len);
    std::size_t const skip = std::min(skipped, left.size());
    skipped -= skip;
    left = left.substr(skip, batch - ahead_ - used);
    while (!left.empty()) {
      if (used == 0 && left.size() >= largest_record) {
        if (!seal(left.data(), largest_record)) return false;
        left.remove_prefix(largest_record);
        continue;
      }
      std::size_t const some = left.copy(gathered.data() + used, gathered.size() - used);
      left.remove_prefix(some);
      used += some;
      if (used == gathered.size() && !seal(gathered.data(), std::exchange(used, 0))) return false;
    }
  }
  return used == 0 || seal(gathered.data(), used);
}

io_result tls_transport::write_some(std::span<iovec const> pieces) noexcept {
  std::lock_guard guard(mutex_);
  if (phase_ != phase::open) return {io_result::state::failed};
  std::size_t const total = length_of(pieces);
  for (std::size_t written = 0;;) {
    if (ahead_ == 0 && !encrypt(pieces, written)) {
      phase_ = phase::failed;
      return {io_result::state::failed};
    }
    io_result const sent = flush();
    if (sent.failed() || (!sent.done() && written == 0)) return sent;
    if (!sent.done()) return {io_result::state::done, written};
    std::size_t const counted = std::min(ahead_, total - written);
    ahead_ -= counted;
    written += counted;
    if (written == total) return {io_result::state::done, written};
  }
}

void tls_transport::shutdown_write() noexcept {
  std::lock_guard guard(mutex_);
  end_stream();
  // If the lower transport is full, close_notify is lost. The client still sees the end, and HTTP/1 and 2 tell what is
  // complete.
  unsent_.clear(0);
  lower_->shutdown_write();
}

void tls_transport::close(ending how) noexcept {
  std::lock_guard guard(mutex_);
  open_ = false;
  if (how == ending::orderly) end_stream();
  observer_.reset();
  lower_->close(how);
}

void tls_transport::end_stream() noexcept {
  if (phase_ != phase::open) return;
  tls_library::get().end_stream(session_.get());
  static_cast<void>(flush());
}

std::uint64_t tls_transport::unacknowledged() const noexcept {
  std::lock_guard guard(mutex_);
  std::uint64_t const encrypted = lower_->unacknowledged() + unsent_.size();
  return encrypted - std::min<std::uint64_t>(encrypted, ahead_);
}

}  // namespace kino::server
