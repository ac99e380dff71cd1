// SPDX-License-Identifier: MIT

#include <kino/usable_cpus.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>

TEST_CASE("there is at least one usable CPU") { CHECK(kino::usable_cpus() >= 1); }

#ifdef __linux__

TEST_CASE("a thread that may run on one CPU has one usable CPU") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(kino::usable_cpus() == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(kino::usable_cpus() <= static_cast<unsigned>(CPU_COUNT(&before)));
}

namespace {

// A root directory with files like those of the kernel.
struct fake_root {
  std::filesystem::path const path = [] {
    std::string name = (std::filesystem::temp_directory_path() / "kino-cgroup-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    return name;
  }();
  ~fake_root() { std::filesystem::remove_all(path); }
  void write(std::string const& name, std::string const& content) const {
    std::filesystem::path const file = path.string() + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content << "\n";
  }
  double quota() const { return kino::detail::cgroup_quota(path.string()); }
};

double const none = std::numeric_limits<double>::infinity();

std::string v2_mount(std::string const& root, std::string const& point) {
  return "31 23 0:28 " + root + " " + point + " rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
}
std::string v1_mount(std::string const& root, std::string const& point,
                     std::string const& controllers) {
  return "32 31 0:29 " + root + " " + point + " rw - cgroup cgroup rw," + controllers + "\n";
}

}  // namespace

TEST_CASE("without control groups there is no quota") {
  fake_root const root;
  CHECK(root.quota() == none);
  root.write("/proc/self/cgroup", "0::/\nnonsense\n::\n1:cpu");
  root.write("/proc/self/mountinfo", "nonsense\n\n1 2 3\n- - -\n" + v2_mount("/", "/c"));
  CHECK(root.quota() == none);
  root.write("/c/cpu.max", "max 100000");
  CHECK(root.quota() == none);
  root.write("/c/cpu.max", "nonsense");
  CHECK(root.quota() == none);
}

TEST_CASE("in a container, the quota is read at the mount point of its own group") {
  fake_root const root;
  root.write("/proc/self/mountinfo", v2_mount("/docker/1", "/c"));
  root.write("/c/cpu.max", "50000 100000");
  for (char const* path : {"/docker/1", "/docker/2", "/../other", "/"}) {
    root.write("/proc/self/cgroup", std::string("0::") + path);
    CAPTURE(path);
    CHECK(root.quota() == 0.5);
  }
}

TEST_CASE("with control groups v1, the quota is read from the cpu hierarchy") {
  fake_root const root;
  root.write("/proc/self/cgroup", "5:cpuset:/set\n4:cpu,cpuacct:/a/b\n0::/x");
  root.write("/proc/self/mountinfo",
             v1_mount("/", "/cpuset", "cpuset") + v1_mount("/", "/cpu", "cpu,cpuacct"));
  root.write("/cpuset/set/cpu.cfs_quota_us", "1");
  root.write("/cpuset/set/cpu.cfs_period_us", "100000");
  root.write("/cpu/a/b/cpu.cfs_quota_us", "-1");
  root.write("/cpu/a/b/cpu.cfs_period_us", "100000");
  CHECK(root.quota() == none);
  root.write("/cpu/a/cpu.cfs_quota_us", "250000");
  root.write("/cpu/a/cpu.cfs_period_us", "100000");
  CHECK(root.quota() == 2.5);
}

TEST_CASE("the smallest quota of all groups above the process applies") {
  std::mt19937 random{11};
  auto const below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  for (int round = 0; round < 50; ++round) {
    fake_root const root;
    double least = none;
    // Both versions at once, as on a hybrid system; each process deep in both.
    std::string groups;
    for (bool v2 : {true, false}) {
      std::string const point = v2 ? "/v2" : "/v1";
      std::string path;
      for (unsigned depth = below(6);; --depth) {
        unsigned const quota = 1 + below(1'000'000);
        if (below(2)) {
          least = std::min(least, quota / 100'000.0);
          if (v2) {
            root.write(point + path + "/cpu.max", std::to_string(quota) + " 100000");
          } else {
            root.write(point + path + "/cpu.cfs_quota_us", std::to_string(quota));
            root.write(point + path + "/cpu.cfs_period_us", "100000");
          }
        }
        if (depth == 0) break;
        path += "/g" + std::to_string(below(3));
      }
      // The quotas of other groups do not apply.
      root.write(point + path + "/child/cpu.max", "1 100000");
      root.write(point + "/sibling/cpu.max", "1 100000");
      groups += (v2 ? "0::" : "7:cpu:") + (path.empty() ? "/" : path) + "\n";
    }
    root.write("/proc/self/cgroup", groups);
    root.write("/proc/self/mountinfo", v2_mount("/", "/v2") + v1_mount("/", "/v1", "cpu"));
    CAPTURE(round);
    CHECK(root.quota() == least);
  }
}

TEST_CASE("this process's own control groups can be read") {
  CHECK(kino::detail::cgroup_quota() > 0);
  CHECK(!kino::detail::lines_of("/proc/self/cgroup").empty());
}

#endif
