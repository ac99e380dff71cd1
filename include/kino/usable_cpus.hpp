// SPDX-License-Identifier: MIT
//
// usable_cpus: the number of CPUs that this process may use.

#pragma once

#include <kino/detail/cgroup_quota.hpp>
#include <kino/detail/config.hpp>

#include <algorithm>
#include <cmath>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

KINO_NAMESPACE_BEGIN

/// usable_cpus returns the number of threads of this process that can run at once, at least 1.
///
/// On Linux, this is the number of CPUs in its affinity mask, limited by the CPU quotas of its
/// control groups, rounded up. It therefore respects taskset, container limits and systemd's
/// CPUQuota. std::thread::hardware_concurrency and Ruby's Etc.nprocessors ignore quotas.
///
/// Threads: any. The affinity is that of the calling thread.
/// GVL:     not needed.
/// Blocks:  never, but it reads a few files below /proc and /sys: call it once and keep the result.
/// Throws:  std::bad_alloc. A file that cannot be read counts as no limit.
///
/// Example:
///
///     unsigned const cpus = kino::usable_cpus();
///     kino::run_permits permits({.workers = 64, .concurrency = cpus}, [] { return false; });
///
[[nodiscard]] inline unsigned usable_cpus() {
  unsigned usable = std::max(1u, std::thread::hardware_concurrency());
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    usable = std::max(1u, static_cast<unsigned>(CPU_COUNT(&allowed)));
  }
  double const quota = std::ceil(detail::cgroup_quota());
  if (quota < usable) usable = static_cast<unsigned>(quota);
#endif
  return usable;
}

KINO_NAMESPACE_END
