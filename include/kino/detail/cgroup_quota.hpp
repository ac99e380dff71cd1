// SPDX-License-Identifier: MIT
//
// The CPU quota of this process's control groups (Linux).

#pragma once

#include <kino/detail/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

KINO_NAMESPACE_BEGIN
namespace detail {

#ifdef __linux__

// The lines of a small file; none if it cannot be read.
inline std::vector<std::string> lines_of(std::string const& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// Whether the comma-separated `list` contains `word`.
inline bool lists(std::string const& list, std::string const& word) {
  return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

// The number of CPUs that one control group's own quota allows; infinite without a quota.
inline double own_quota(std::string const& directory, bool v2) {
  constexpr double none = std::numeric_limits<double>::infinity();
  auto const first_line = [&](char const* file) {
    auto const lines = lines_of(directory + file);
    return lines.empty() ? std::string() : lines.front();
  };
  std::string const limits =
      v2 ? first_line("/cpu.max")
         : first_line("/cpu.cfs_quota_us") + ' ' + first_line("/cpu.cfs_period_us");
  long long quota = 0;   // whole microseconds, "max" in v2 or -1 in v1 for none
  long long period = 0;
  bool const limited = std::sscanf(limits.c_str(), "%lld %lld", &quota, &period) == 2;
  return limited && quota > 0 && period > 0
             ? static_cast<double>(quota) / static_cast<double>(period)
             : none;
}

// The lowest quota of the group at `path`, as named in /proc/self/cgroup, and of its ancestors, as
// far as `mount`, a line of /proc/self/mountinfo, shows them.
inline double quota_under(std::string const& files, std::string const& mount,
                          std::string const& path, bool v2) {
  constexpr double none = std::numeric_limits<double>::infinity();
  std::istringstream words(mount);
  std::string word, root, point, type, options;
  words >> word >> word >> word >> root >> point;
  while (words >> word && word != "-") {}
  words >> type >> word >> options;
  if (v2 ? type != "cgroup2" : type != "cgroup" || !lists(options, "cpu")) return none;
  // A container that shares its host's namespace sees its own group at the mount point. A group
  // outside the namespace ("/..") is not visible.
  std::string below = path;
  if (root != "/") below = (path + "/").starts_with(root + "/") ? path.substr(root.size()) : "";
  if (below.starts_with("/..")) below.clear();
  if (below.ends_with('/')) below.pop_back();
  double least = none;
  for (;;) {
    least = std::min(least, own_quota(files + point + below, v2));
    if (below.empty()) return least;
    below.resize(below.rfind('/'));
  }
}

/// The number of CPUs that the control groups of this process allow: the lowest quota of its own
/// group and all its ancestors, in both versions of the hierarchy; infinite without a quota. `files`
/// is prepended to every path that is read.
inline double cgroup_quota(std::string const& files = "") {
  double least = std::numeric_limits<double>::infinity();
  auto const mounts = lines_of(files + "/proc/self/mountinfo");
  for (std::string const& line : lines_of(files + "/proc/self/cgroup")) {
    // number:controllers:path, without controllers in version 2
    std::size_t const first = line.find(':');
    std::size_t const second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string const controllers = line.substr(first + 1, second - first - 1);
    bool const v2 = controllers.empty();
    if (!v2 && !lists(controllers, "cpu")) continue;
    for (std::string const& mount : mounts) {
      least = std::min(least, quota_under(files, mount, line.substr(second + 1), v2));
    }
  }
  return least;
}

#endif

}  // namespace detail
KINO_NAMESPACE_END
