// SPDX-License-Identifier: MIT

#include "tls/tls_library.hpp"

#include <atomic>
#include <dlfcn.h>
#include <mutex>
#include <new>
#include <stdexcept>

namespace kino::server {

namespace {

// release in load, acquire in get: the table may be used by a thread that did not load it.
std::atomic<tls::functions const*> loaded{nullptr};

#ifdef __APPLE__
constexpr char file_name[] = "kino_tls.bundle";
#else
constexpr char file_name[] = "kino_tls.so";
#endif

// RTLD_DEEPBIND: BoringSSL finds its own symbols first, even if Ruby's openssl has loaded others of the same names.
// Sanitizers refuse it; their programs contain no OpenSSL.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KINO_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KINO_SANITIZED 1
#endif
#endif
constexpr int isolated() {
#if defined(RTLD_DEEPBIND) && !defined(KINO_SANITIZED)
  return RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#else
  return RTLD_NOW | RTLD_LOCAL;
#endif
}

std::string beside_this_code() {
  Dl_info here{};
  if (::dladdr(reinterpret_cast<void*>(&beside_this_code), &here) == 0 || !here.dli_fname) return file_name;
  std::string const self = here.dli_fname;
  return self.substr(0, self.rfind('/') + 1) + file_name;
}

[[noreturn]] void fail(std::string const& why) {
  throw std::runtime_error("kino: TLS is not available in this build: " + why +
                           "; install BoringSSL (Debian: android-libboringssl-dev) and rebuild kino, or let a proxy "
                           "handle TLS");
}

tls::bytes bytes_of(std::string const& text) { return {text.data(), text.size()}; }

}  // namespace

tls::functions const& tls_library::load(std::string const& path) {
  static std::mutex one_at_a_time;
  std::lock_guard guard(one_at_a_time);
  if (auto const* const known = loaded.load(std::memory_order_relaxed)) return *known;  // written under the lock
  std::string const file = path.empty() ? beside_this_code() : path;
  void* const library = ::dlopen(file.c_str(), isolated());
  if (!library) fail(::dlerror());
  auto const entry = reinterpret_cast<tls::entry>(::dlsym(library, tls::entry_name));
  auto const* const table = entry ? entry(tls::version) : nullptr;
  if (!table) fail(file + " is of another version");
  loaded.store(table, std::memory_order_release);
  return *table;
}

tls::functions const& tls_library::get() noexcept { return *loaded.load(std::memory_order_acquire); }

tls::context_ptr make_tls_context(tls_settings const& from, tls::ticket_keys& keys,
                                  std::vector<std::string> const& protocols) {
  std::vector<tls::certificate> certificates;
  for (auto const& one : from.certificates) {
    certificates.push_back({bytes_of(one.chain), bytes_of(one.key), bytes_of(one.name), bytes_of(one.key_name)});
  }
  std::string names;
  for (std::string const& one : protocols) names += static_cast<char>(one.size()) + one;
  tls::settings const wanted{certificates.data(), certificates.size(),       bytes_of(from.client_ca),
                             bytes_of(from.client_ca_name), from.clients, bytes_of(names)};
  char error[512] = "";
  tls::context_ptr made(tls_library::get().make_context(&wanted, &keys, error, sizeof error));
  if (!made) throw std::invalid_argument(std::string("kino: tls: ") + error);
  return made;
}

}  // namespace kino::server
