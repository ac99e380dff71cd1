// SPDX-License-Identifier: MIT
//
// Captures the server's log, for tests that read it and for those whose many lines would bury the report of a failure.

#pragma once

#include "base/log.hpp"

#include "private_access.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <ostream>
#include <string>
#include <unistd.h>

KINO_TEST_REACH(log_process_of, kino::async_sink, current_)
KINO_TEST_REACH(log_writer_of, kino::detail::sink_process, writer_)
KINO_TEST_REACH(log_output_of, kino::detail::sink_writer, output_)
KINO_TEST_REACH(log_descriptor_of, kino::detail::line_writer, descriptor_)

/// During its lifetime, the server's log goes to a temporary file. Standard error stays what it is, for the reports of
/// sanitizers. `INFO(log)` adds the last lines to the report of a failed check.
class captured_log {
public:
  captured_log() {
    REQUIRE(file_ != nullptr);
    // The log's thread and descriptors do not belong to a server.
    REQUIRE(kino::server::log().start());
    flush();
    before_ = descriptor().exchange(::fileno(file_));
  }
  captured_log(captured_log const&) = delete;
  captured_log& operator=(captured_log const&) = delete;
  ~captured_log() {
    flush();
    descriptor() = before_;
    std::fclose(file_);
  }

  /// From now on, the server's log goes nowhere.
  static void discard() {
    REQUIRE(kino::server::log().start());
    flush();
    descriptor() = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  }

  /// All lines so far.
  [[nodiscard]] std::string text() const {
    flush();
    std::string all;
    char bytes[4096];
    for (ssize_t got; (got = ::pread(::fileno(file_), bytes, sizeof bytes, static_cast<off_t>(all.size()))) > 0;) {
      all.append(bytes, static_cast<std::size_t>(got));
    }
    return all;
  }

  /// The last lines.
  friend std::ostream& operator<<(std::ostream& to, captured_log const& log) {
    std::string const all = log.text();
    std::size_t from = all.size();
    for (int lines = 0; lines <= 10 && from != 0 && from != all.npos; ++lines) from = all.rfind('\n', from - 1);
    return to << "the end of the log:\n" << all.substr(from == all.npos || from == 0 ? 0 : from + 1);
  }

private:
  static void flush() { CHECK(kino::server::log().flush(std::chrono::minutes(1))); }
  static std::atomic<int>& descriptor() {
    auto& process = *log_process_of(kino::server::log()).load();
    return log_descriptor_of(static_cast<kino::detail::line_writer&>(*log_output_of(log_writer_of(process))));
  }

  std::FILE* const file_ = std::tmpfile();
  int before_ = -1;
};
