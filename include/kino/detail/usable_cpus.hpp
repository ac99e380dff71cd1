// SPDX-License-Identifier: MIT
//
// How many CPUs this process may really use.

#pragma once

#include <kino/detail/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

KINO_NAMESPACE_BEGIN
namespace detail {

#ifdef __linux__

// The first line of a small file; empty if it cannot be read.
inline std::string first_line(char const* path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file(std::fopen(path, "re"),
                                                            &std::fclose);
  char line[256];
  if (!file || !std::fgets(line, sizeof line, file.get())) return {};
  line[std::strcspn(line, "\n")] = '\0';
  return line;
}

// The control group's quota in CPUs, 0 for none. A container sees its own group at the root.
inline double cgroup_quota() {
  double quota = 0;
  double period = 0;
  std::string const v2 = first_line("/sys/fs/cgroup/cpu.max");
  if (!v2.empty()) {
    return std::sscanf(v2.c_str(), "%lf %lf", &quota, &period) == 2 ? quota / period : 0;
  }
  std::string const v1 = first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::string const per = first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (std::sscanf(v1.c_str(), "%lf", &quota) == 1 && quota > 0 &&
      std::sscanf(per.c_str(), "%lf", &period) == 1 && period > 0) {
    return quota / period;
  }
  return 0;
}

#endif

/// How many threads of this process can compute at once: its affinity mask and, on Linux, its
/// control group's quota, rounded up. At least 1.
inline unsigned usable_cpus() {
  unsigned usable = std::max(1u, std::thread::hardware_concurrency());
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    usable = std::max(1u, static_cast<unsigned>(CPU_COUNT(&allowed)));
  }
  double const quota = cgroup_quota();
  if (quota > 0) usable = std::min(usable, static_cast<unsigned>(std::ceil(quota)));
#endif
  return usable;
}

}  // namespace detail
KINO_NAMESPACE_END
