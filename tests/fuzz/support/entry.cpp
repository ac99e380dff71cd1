// SPDX-License-Identifier: MIT
//
// What libFuzzer calls.

#define DOCTEST_CONFIG_IMPLEMENT
#include "target.hpp"

#include "../../support/captured_log.hpp"

#include <cstdlib>
#include <iostream>

namespace {

[[noreturn]] void stop(doctest::AssertData const& failed) {
  std::cerr << failed.m_file << ":" << failed.m_line << ": this is not so: " << failed.m_expr << " (" << failed.m_decomp
            << ")\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* bytes, std::size_t length) {
  static auto& assertions = *new doctest::Context;
  static bool const once = [] {
    assertions.setAsDefaultForAssertsOutOfTestCases();
    assertions.setAssertHandler([](doctest::AssertData const& made) {
      if (made.m_failed) stop(made);
    });
    captured_log::discard();  // A line for every mistake of a client would bury the report of a failure.
    return true;
  }();
  static_cast<void>(once);
  fuzz::run_one({reinterpret_cast<char const*>(bytes), length});
  return 0;
}
