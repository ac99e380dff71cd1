// SPDX-License-Identifier: MIT
//
// stats: counters and a latency histogram, with one relaxed atomic per event; Prometheus text.

#pragma once

#include <kino/detail/atomic.hpp>

#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

KINO_NAMESPACE_BEGIN

/// A counter counts events.
///
/// Threads: any thread, any Ractor. Never blocks, never throws. Reads of different counters are
/// not a consistent snapshot.
class counter {
public:
  /// Counts `more` events.
  void add(std::uint64_t more = 1) noexcept {
    total_.fetch_add(more, std::memory_order_relaxed);  // pairs with nothing: a statistic
  }
  /// Number of events so far.
  [[nodiscard]] std::uint64_t total() const noexcept {
    return total_.load(std::memory_order_relaxed);
  }

private:
  detail::atomic<std::uint64_t> total_{0};
};

/// A latency_histogram counts durations in buckets of powers of two, from 1 microsecond up.
///
/// Bucket i holds durations up to 2^i microseconds; the last one holds all longer ones, over 67
/// seconds. `quantile` is therefore accurate to a factor of two.
///
/// Threads: any thread, any Ractor. Never blocks, never throws.
///
/// Example:
///
///     kino::latency_histogram waits;
///     waits.record(std::chrono::microseconds{100});
///     assert(waits.count() == 1);
///     assert(waits.quantile(0.5) == std::chrono::microseconds{128});
///
class latency_histogram {
public:
  /// Number of buckets.
  static constexpr std::size_t buckets = 28;

  /// Counts one duration; negative durations count as zero.
  void record(std::chrono::nanoseconds duration) noexcept {
    std::int64_t const ns = duration.count() > 0 ? duration.count() : 0;
    // Rounded up: a bucket includes its bound.
    auto const us = (static_cast<std::uint64_t>(ns) + 999) / 1000;
    std::size_t const bucket =
        us <= 1 ? 0 : static_cast<std::size_t>(std::bit_width(us - 1));
    // relaxed: statistics; a reader may see the parts of one event at different moments.
    counts_[bucket < buckets ? bucket : buckets - 1].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<std::uint64_t>(ns), std::memory_order_relaxed);
  }

  /// Counts what `other` has counted, too: for the sum of histograms of several threads.
  void add(latency_histogram const& other) noexcept {
    for (std::size_t i = 0; i < buckets; ++i) {
      counts_[i].fetch_add(other.in_bucket(i), std::memory_order_relaxed);  // as in record
    }
    sum_ns_.fetch_add(static_cast<std::uint64_t>(other.sum().count()), std::memory_order_relaxed);
  }

  /// Number of recorded durations.
  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t all = 0;
    for (auto const& bucket : counts_) all += bucket.load(std::memory_order_relaxed);
    return all;
  }
  /// Sum of the recorded durations.
  [[nodiscard]] std::chrono::nanoseconds sum() const noexcept {
    return std::chrono::nanoseconds{sum_ns_.load(std::memory_order_relaxed)};
  }
  /// Number of durations in bucket `index`, not cumulative.
  [[nodiscard]] std::uint64_t in_bucket(std::size_t index) const noexcept {
    return counts_[index].load(std::memory_order_relaxed);
  }
  /// The upper bound of bucket `index`; for the last one, twice that of the previous bucket.
  [[nodiscard]] static std::chrono::microseconds bound(std::size_t index) noexcept {
    return std::chrono::microseconds{std::int64_t{1} << index};
  }
  /// The bucket bound that a `share` (0 to 1) of all durations does not exceed; 0 if there are none.
  [[nodiscard]] std::chrono::microseconds quantile(double share) const noexcept {
    std::uint64_t const all = count();
    if (all == 0) return std::chrono::microseconds{0};
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      seen += in_bucket(i);
      if (static_cast<double>(seen) >= share * static_cast<double>(all)) return bound(i);
    }
    return bound(buckets - 1);
  }

private:
  std::array<detail::atomic<std::uint64_t>, buckets> counts_{};
  detail::atomic<std::uint64_t> sum_ns_{0};
};

/// A metrics_text writes statistics in Prometheus' text format (version 0.0.4) or as OpenMetrics (1.0.0).
///
/// Names of counters end in "_total". The text of OpenMetrics is complete after `finish`.
///
/// Names and labels are written as given, labels as in `slot="3"`: the caller must escape untrusted
/// text. Numbers do not depend on the program's locale.
///
/// Threads: one thread at a time. Throws std::bad_alloc.
///
/// Example:
///
///     kino::metrics_text text;
///     text.counter("kino_served_total", "Requests served.", 7);
///     assert(text.str() == "# HELP kino_served_total Requests served.\n"
///                          "# TYPE kino_served_total counter\n"
///                          "kino_served_total 7\n");
///
class metrics_text {
public:
  /// What is written.
  enum class format { prometheus, open_metrics };

  /// An empty text.
  explicit metrics_text(format written = format::prometheus) : format_(written) {}

  /// Writes the HELP and TYPE lines of a metric family; follow it with calls of `sample`.
  void family(std::string_view name, std::string_view help, std::string_view type) {
    static constexpr std::string_view total = "_total";
    // There, the name of a counter's samples has the suffix, and that of the family has not.
    bool const shorter = format_ == format::open_metrics && type == "counter" && name.ends_with(total);
    if (shorter) name.remove_suffix(total.size());
    put({"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"});
  }
  /// Writes one sample with an integer; `labels` as in `code="200"`, or empty.
  void sample(std::string_view name, std::string_view labels, std::uint64_t value) {
    begin_sample(name, labels);
    put({std::to_string(value), "\n"});
  }
  /// Writes one sample with a floating-point number.
  void sample(std::string_view name, std::string_view labels, double value) {
    char digits[32];
    begin_sample(name, labels);
    // The shortest text for this number, and no other.
    put({{digits, std::to_chars(digits, digits + sizeof digits, value).ptr}, "\n"});
  }
  /// Writes a family of one counter.
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, help, "counter");
    sample(name, "", value);
  }
  /// Writes a family of one gauge.
  void gauge(std::string_view name, std::string_view help, double value) {
    family(name, help, "gauge");
    sample(name, "", value);
  }
  /// Writes a family of one histogram, in seconds.
  void histogram(std::string_view name, std::string_view help, latency_histogram const& histogram) {
    family(name, help, "histogram");
    histogram_samples(name, "", histogram);
  }
  /// Writes the samples of one histogram of a family, in seconds.
  void histogram_samples(std::string_view name, std::string_view labels, latency_histogram const& histogram);
  /// Writes what marks the end of the text, if there is anything.
  void finish() {
    if (format_ == format::open_metrics) put({"# EOF\n"});
  }

  /// The text written so far.
  [[nodiscard]] std::string const& str() const { return text_; }

private:
  // Like printf's %g, but with a decimal point in every locale.
  static std::string_view decimal(char (&digits)[32], double value, int precision) {
    char const* const end = std::to_chars(digits, digits + sizeof digits, value,
                                          std::chars_format::general, precision)
                                .ptr;
    return {digits, end};
  }
  void begin_sample(std::string_view name, std::string_view labels) {
    put({name});
    if (!labels.empty()) put({"{", labels, "}"});
    put({" "});
  }
  void put(std::initializer_list<std::string_view> parts) {
    for (std::string_view part : parts) text_ += part;
  }

  format format_;
  std::string text_;
};

// --- implementation ---------------------------------------------------------

inline void metrics_text::histogram_samples(std::string_view name, std::string_view labels,
                                            latency_histogram const& histogram) {
  std::string const bucket = std::string(name) + "_bucket";
  std::string const before = labels.empty() ? std::string() : std::string(labels) + ",";
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < latency_histogram::buckets; ++i) {
    below += histogram.in_bucket(i);
    bool const last = i + 1 == latency_histogram::buckets;
    char digits[32];
    double const bound = std::chrono::duration<double>(latency_histogram::bound(i)).count();
    std::string const label(last ? "+Inf" : decimal(digits, bound, 6));
    sample(bucket, before + "le=\"" + label + "\"", below);
  }
  sample(std::string(name) + "_sum", labels, std::chrono::duration<double>(histogram.sum()).count());
  sample(std::string(name) + "_count", labels, below);
}

KINO_NAMESPACE_END
