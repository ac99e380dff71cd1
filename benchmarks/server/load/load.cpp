// SPDX-License-Identifier: MIT
//
// A load generator for servers on 127.0.0.1 only. Prints one line of JSON.
//
//   load --port P [--path /] [--connections 64] [--threads 1] [--warmup 1] [--seconds 5]
//        [--rate R] [--header "name: value"]... [--upload BYTES] [--expect FILE]
//
// Without --rate it runs a closed loop, with it an open one: see client.hpp. --expect names a file
// with the body that every response must have. --upload sends a POST of that many bytes.

#include "client.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <thread>

namespace {

struct settings {
  load::plan plan;
  std::string path = "/";
  std::string headers;
  std::optional<std::string> expected;
  std::size_t upload = 0;
  std::size_t threads = 1;
  double warmup = 1;
  double seconds = 5;
};

double number(std::string const& name, std::string const& text, double low, double high) {
  std::size_t end = 0;
  double const value = std::stod(text, &end);
  if (end != text.size() || value < low || value > high) {
    throw std::invalid_argument(name + " takes " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

settings parse(int count, char** arguments) {
  settings given;
  for (int i = 1; i < count; i += 2) {
    std::string const name = arguments[i];
    if (i + 1 == count) throw std::invalid_argument(name + " needs a value");
    std::string const value = arguments[i + 1];
    auto whole = [&](double high) { return static_cast<std::size_t>(number(name, value, 1, high)); };
    if (name == "--port") given.plan.port = static_cast<int>(whole(65535));
    else if (name == "--path") given.path = value;
    else if (name == "--connections") given.plan.connections = whole(10'000);
    else if (name == "--threads") given.threads = whole(64);
    else if (name == "--warmup") given.warmup = number(name, value, 0, 600);
    else if (name == "--seconds") given.seconds = number(name, value, 0.1, 600);
    else if (name == "--rate") given.plan.rate = number(name, value, 1, 1e7);
    else if (name == "--header") given.headers += value + "\r\n";
    else if (name == "--upload") given.upload = whole(64 << 20);
    else if (name == "--expect") {
      std::ifstream file(value, std::ios::binary);
      if (!file) throw std::invalid_argument("cannot read " + value);
      given.expected.emplace(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>{});
    } else {
      throw std::invalid_argument("unknown option " + name);
    }
  }
  if (given.plan.port == 0) throw std::invalid_argument("--port is required");
  given.threads = std::min(given.threads, given.plan.connections);
  return given;
}

std::string request_for(settings const& given) {
  std::string text = given.upload ? "POST " : "GET ";
  text += given.path + " HTTP/1.1\r\nhost: 127.0.0.1:" + std::to_string(given.plan.port) + "\r\n" + given.headers;
  if (given.upload) {
    text += "content-type: application/octet-stream\r\ncontent-length: " + std::to_string(given.upload) + "\r\n";
  }
  text += "\r\n";
  for (std::size_t i = 0; i < given.upload; ++i) text += static_cast<char>('a' + i % 26);
  return text;
}

// Quotes a string for JSON.
std::string quoted(std::string_view bytes) {
  std::string text = "\"";
  for (char const c : bytes) {
    auto const code = static_cast<unsigned char>(c);
    char escaped[8] = {c};
    if (code < 0x20 || code > 0x7e || c == '"' || c == '\\') std::snprintf(escaped, sizeof escaped, "\\u%04x", code);
    text += escaped;
  }
  return text + '"';
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](timeval const& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void print(settings const& given, std::vector<std::unique_ptr<load::client>> const& clients, double cpu) {
  load::result all;
  for (auto const& one : clients) {
    load::result const& part = one->measured();
    all.latency.add(part.latency);
    all.completed += part.completed;
    all.connect_errors += part.connect_errors;
    all.socket_errors += part.socket_errors;
    all.status_errors += part.status_errors;
    all.body_errors += part.body_errors;
    all.reconnects += part.reconnects;
    all.unfinished += part.unfinished;
    all.oldest = std::max(all.oldest, part.oldest);
    if (all.unexpected.empty()) all.unexpected = part.unexpected;
    all.per_connection.insert(all.per_connection.end(), part.per_connection.begin(), part.per_connection.end());
  }
  auto const [least, most] = std::minmax_element(all.per_connection.begin(), all.per_connection.end());
  auto us = [](double nanoseconds) { return nanoseconds / 1e3; };
  auto at = [&](double share) { return us(static_cast<double>(all.latency.quantile(share))); };
  auto n = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("{\"rate\":%.2f,\"requests\":%llu,\"seconds\":%g,\"asked_rate\":%g,\"connections\":%zu,",
              static_cast<double>(all.completed) / given.seconds, n(all.completed), given.seconds, given.plan.rate,
              given.plan.connections);
  std::printf("\"latency_us\":{\"mean\":%.2f,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f,\"count\":%llu},",
              us(all.latency.mean()), at(0.5), at(0.9), at(0.99), at(0.999),
              us(static_cast<double>(all.latency.max())), n(all.latency.count()));
  std::printf("\"per_connection\":{\"least\":%llu,\"most\":%llu},\"reconnects\":%llu,\"unfinished\":%llu,\"oldest_us\":%.0f,",
              n(*least), n(*most), n(all.reconnects), n(all.unfinished), us(static_cast<double>(all.oldest)));
  std::printf("\"errors\":{\"connect\":%llu,\"socket\":%llu,\"status\":%llu,\"body\":%llu},\"unexpected\":%s,\"generator_cpu\":%.3f}\n",
              n(all.connect_errors), n(all.socket_errors), n(all.status_errors), n(all.body_errors),
              quoted(all.unexpected).c_str(), cpu);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    settings given = parse(count, arguments);
    if (given.expected) given.plan.expected = &*given.expected;
    prctl(PR_SET_TIMERSLACK, 1UL);
    std::signal(SIGPIPE, SIG_IGN);
    given.plan.request = request_for(given);
    auto nanoseconds = [](double seconds) { return static_cast<std::int64_t>(seconds * 1e9); };
    given.plan.begin = load::now() + nanoseconds(given.warmup);
    given.plan.end = given.plan.begin + nanoseconds(given.seconds);
    given.plan.grace = given.plan.rate > 0 ? nanoseconds(3) : 0;

    std::vector<std::unique_ptr<load::client>> clients;
    for (std::size_t i = 0; i < given.threads; ++i) {
      clients.push_back(std::make_unique<load::client>(given.plan, i, given.threads));
    }
    double const before = cpu_seconds();
    std::int64_t const began = load::now();
    std::vector<std::thread> threads;
    for (auto const& one : clients) threads.emplace_back([&one] { one->run(); });
    for (std::thread& thread : threads) thread.join();
    double const cpu = (cpu_seconds() - before) / (static_cast<double>(load::now() - began) / 1e9);
    print(given, clients, cpu);
    return 0;
  } catch (std::exception const& problem) {
    std::fprintf(stderr, "load: %s\n", problem.what());
    return 2;
  }
}
