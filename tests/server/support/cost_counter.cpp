// SPDX-License-Identifier: MIT
//
// Counts the system calls and allocations of the server's native code, without a debugger: preloaded
// into the server's process, it wraps some functions of the C library and counts calls from
// kino_native and from the C++ library, which only kino_native uses. Calls from Ruby are not counted.
//
// The counts are in the file that KINO_COST_FILE names, as 64-bit numbers in the order of `what`;
// a process that maps or reads it sees them change.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

enum what { recv_calls, send_calls, epoll_ctls, epoll_waits, timer_sets, wake_ups, allocations, kinds };

struct range {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};

  bool has(void* address) const {
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    return at >= begin.load(std::memory_order_relaxed) && at < end.load(std::memory_order_relaxed);
  }
};

// Constant-initialised: malloc is called before any constructor runs.
std::atomic<std::uint64_t>* counts = nullptr;
range server_code;
range cpp_library;

int note_range(dl_phdr_info* info, std::size_t, void*) {
  range* const wanted = std::strstr(info->dlpi_name, "kino_native") ? &server_code
                        : std::strstr(info->dlpi_name, "libstdc++") ? &cpp_library
                                                                    : nullptr;
  if (!wanted) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    auto const& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || !(header.p_flags & PF_X)) continue;
    wanted->begin = info->dlpi_addr + header.p_vaddr;
    wanted->end = info->dlpi_addr + header.p_vaddr + header.p_memsz;
  }
  return 0;
}

void count(what kind, void* caller) {
  if (counts && (server_code.has(caller) || cpp_library.has(caller))) counts[kind].fetch_add(1);
}

template <class Function>
Function* next(char const* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

__attribute__((constructor)) void open_counts() {
  char const* const path = std::getenv("KINO_COST_FILE");
  int const file = path ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  std::size_t const size = kinds * sizeof(std::uint64_t);
  if (::ftruncate(file, size) != 0) return;
  void* const place = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (place != MAP_FAILED) counts = static_cast<std::atomic<std::uint64_t>*>(place);
  ::close(file);
}

}  // namespace

extern "C" {

ssize_t recv(int socket, void* out, std::size_t room, int flags) {
  static auto* const real = next<decltype(recv)>("recv");
  count(recv_calls, __builtin_return_address(0));
  return real(socket, out, room, flags);
}

ssize_t sendmsg(int socket, msghdr const* message, int flags) {
  static auto* const real = next<decltype(sendmsg)>("sendmsg");
  count(send_calls, __builtin_return_address(0));
  return real(socket, message, flags);
}

int epoll_ctl(int set, int operation, int file, epoll_event* event) noexcept {
  static auto* const real = next<decltype(epoll_ctl)>("epoll_ctl");
  count(epoll_ctls, __builtin_return_address(0));
  return real(set, operation, file, event);
}

int epoll_wait(int set, epoll_event* events, int most, int timeout) {
  static auto* const real = next<decltype(epoll_wait)>("epoll_wait");
  count(epoll_waits, __builtin_return_address(0));
  return real(set, events, most, timeout);
}

int timerfd_settime(int timer, int flags, itimerspec const* at, itimerspec* before) noexcept {
  static auto* const real = next<decltype(timerfd_settime)>("timerfd_settime");
  count(timer_sets, __builtin_return_address(0));
  return real(timer, flags, at, before);
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  static auto* const real = next<decltype(pthread_cond_signal)>("pthread_cond_signal");
  count(wake_ups, __builtin_return_address(0));
  return real(condition);
}

// Called once by a server's listener, when everything of interest is loaded.
int listen(int socket, int backlog) noexcept {
  static auto* const real = next<decltype(listen)>("listen");
  dl_iterate_phdr(note_range, nullptr);
  return real(socket, backlog);
}

void* malloc(std::size_t size) {
  count(allocations, __builtin_return_address(0));
  return __libc_malloc(size);
}

void* calloc(std::size_t number, std::size_t size) {
  count(allocations, __builtin_return_address(0));
  return __libc_calloc(number, size);
}

void* realloc(void* old, std::size_t size) {
  count(allocations, __builtin_return_address(0));
  return __libc_realloc(old, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count(allocations, __builtin_return_address(0));
  return __libc_memalign(alignment, size);
}

}  // extern "C"
