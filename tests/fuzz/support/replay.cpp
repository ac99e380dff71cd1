// SPDX-License-Identifier: MIT
//
// Runs a fuzz target without libFuzzer: over its seeds and a fixed sequence of mutations of them, or over files.
//
//     fuzz_http1                  the seeds and MUTATIONS mutations (2000)
//     fuzz_http1 FILE...          these inputs
//     fuzz_http1 --seeds DIR      writes the seeds into the directory

#include "target.hpp"

#include "../../support/stress.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* bytes, std::size_t length);

namespace {

std::string current;  // the input that is running

// Keeps the input that failed, for the next run.
void keep_current() {
  std::ofstream("fuzz-failure", std::ios::binary) << current;
  std::fputs("the input is in the file fuzz-failure of the current directory; give it to this program to run it again\n", stderr);
}

void run(std::string bytes) {
  current = std::move(bytes);
  LLVMFuzzerTestOneInput(reinterpret_cast<std::uint8_t const*>(current.data()), current.size());
}

std::string mutated(std::string made, std::vector<std::string> const& all, stress::dice& chance) {
  for (std::uint32_t changes = 1 + chance.below(4); changes != 0; --changes) {
    if (made.empty()) made = "x";
    auto const size = static_cast<std::uint32_t>(made.size());
    std::uint32_t const at = chance.below(size);
    switch (chance.below(8)) {
      case 0: made[at] = static_cast<char>(made[at] ^ (1 << chance.below(8))); break;
      case 1: made[at] = static_cast<char>(chance.below(256)); break;
      case 2: made.insert(at, 1, static_cast<char>(chance.below(256))); break;
      case 3: made.erase(at, 1 + chance.below(8)); break;
      case 4: made.erase(at); break;
      case 5: made.insert(at, made.substr(chance.below(size), 1 + chance.below(64))); break;
      case 6: made[at] = "\0\1\x7f\x80\xff\r\n:"[chance.below(8)]; break;
      default: {
        std::string const& other = all[chance.below(static_cast<std::uint32_t>(all.size()))];
        made.replace(at, made.npos, other, chance.below(static_cast<std::uint32_t>(other.size() + 1)), other.npos);
      }
    }
  }
  return made;
}

int write_seeds(std::string const& directory) {
  std::size_t number = 0;
  for (std::string const& each : fuzz::seeds()) {
    std::ofstream to(directory + "/seed-" + std::to_string(number++), std::ios::binary);
    if (!(to << each).flush()) return std::perror(directory.c_str()), 1;
  }
  return 0;
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
#define KINO_FUZZ_REPORTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KINO_FUZZ_REPORTS 1
#endif
#endif
#ifdef KINO_FUZZ_REPORTS
extern "C" void __sanitizer_set_death_callback(void (*)());
#endif

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--seeds") return write_seeds(argv[2]);
#ifdef KINO_FUZZ_REPORTS
  __sanitizer_set_death_callback(keep_current);
#endif
  std::signal(SIGABRT, [](int) {
    keep_current();
    std::signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  for (int i = 1; i != argc; ++i) {
    std::ifstream from(argv[i], std::ios::binary);
    if (!from) return std::perror(argv[i]), 1;
    run({std::istreambuf_iterator<char>(from), {}});
  }
  if (argc > 1) return 0;
  std::vector<std::string> const all = fuzz::seeds();
  for (std::string const& each : all) run(each);
  char const* const given = std::getenv("MUTATIONS");
  stress::dice chance(1);
  for (unsigned long left = given ? std::strtoul(given, nullptr, 10) : 2000; left != 0; --left) {
    run(mutated(all[chance.below(static_cast<std::uint32_t>(all.size()))], all, chance));
  }
  return 0;
}
