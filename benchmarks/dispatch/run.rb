# frozen_string_literal: true

# Runs every measurement of dispatch, interleaved and in rounds, and prints a Markdown table:
# run.rb [--rounds N] [--seconds S] [--workers 2,8,16,32]
# benchmarks/dispatch/run builds what it needs and calls this.

require "etc"
require "json"
require "optparse"
require "rbconfig"

rounds = 3
seconds = 1.0
workers = [2, 8, 16, 32]
OptionParser.new do |options|
  options.on("--rounds N", Integer) { |value| rounds = value }
  options.on("--seconds S", Float) { |value| seconds = value }
  options.on("--workers LIST", Array) { |value| workers = value.map { |count| Integer(count) } }
end.parse!

RUBY = [RbConfig.ruby, *(RubyVM.const_defined?(:YJIT) ? ["--yjit"] : []), *$LOAD_PATH.select { |dir| File.exist?(File.join(dir, "dispatch_bench.so")) }.map { |dir| "-I#{dir}" }].freeze

Row = Struct.new(:kind, :handler, :workers, :results) do
  def measure(seconds)
    output = IO.popen([*RUBY, File.join(__dir__, "one.rb"), kind, workers.to_s, handler, seconds.to_s], &:read)
    raise "#{kind} #{handler} with #{workers} workers failed: #{$?}" unless $?.success?

    results << JSON.parse(output, symbolize_names: true)
  end

  def all(key) = results.map { |result| result[key] }.compact.sort
  def median(key) = all(key)[all(key).size / 2]
end

rates = %w[empty fib18 allocate wait].flat_map do |handler|
  workers.flat_map { |count| %w[kino moodycamel mutex].map { |kind| Row.new(kind, handler, count, []) } }
end
rates += [2, 32].map { |count| Row.new("ractor_send", "empty", count, []) }
rates << Row.new("thread_queue", "empty", 2, [])
slow = %w[kino moodycamel].map { |kind| Row.new(kind, "slow_core", 32, []) }
slow << Row.new("kino", "slow_core", Etc.nprocessors, [])
idle = Row.new("kino", "idle", 32, [])
rows = rates + slow + [idle]

began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
rounds.times do |round|
  rows.each_with_index do |row, index|
    row.measure(seconds)
    done = round * rows.size + index + 1
    passed = Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
    left = passed / done * (rounds * rows.size - done)
    $stderr.print format("\r%d of %d measurements, %d s left ", done, rounds * rows.size, left) if $stderr.tty?
  end
end
$stderr.puts if $stderr.tty?

def grouped(number) = number.round.to_s.reverse.scan(/\d{1,3}/).join(",").reverse

commit = IO.popen(["git", "-C", __dir__, "rev-parse", "--short", "HEAD"], err: File::NULL, &:read).strip
cpu = File.foreach("/proc/cpuinfo").grep(/^model name/).first.to_s.split(": ").last.to_s.strip if File.exist?("/proc/cpuinfo")
puts "commit #{commit}, #{Etc.nprocessors} CPUs (#{cpu}), #{RUBY_DESCRIPTION}#{" YJIT" if RUBY.include?("--yjit")}"
puts "64 items in flight, #{rounds} rounds of #{seconds} s, interleaved; items/s as median (lowest to highest)"
puts
puts "| handler | workers | store | items/s | of kino with #{workers.first} workers | wakes per item |"
puts "| --- | --- | --- | --- | --- | --- |"
rates.each do |row|
  base = rates.find { |other| other.kind == "kino" && other.handler == row.handler && other.workers == workers.first }
  low, high = row.all(:rate).minmax
  wakes = row.median(:wakes_per_item)
  puts "| #{row.handler} | #{row.workers} | #{row.kind} | #{grouped(row.median(:rate))} (#{grouped(low)} to #{grouped(high)}) " \
       "| #{(100 * row.median(:rate) / base.median(:rate)).round} % | #{wakes ? format("%.4f", wakes) : "-"} |"
end
puts
puts "One request at a time while one handler per CPU computes for 2 s, microseconds:"
puts
puts "| store | workers | quiet p50 | p50 | p99 | worst |"
puts "| --- | --- | --- | --- | --- | --- |"
slow.each do |row|
  cells = %i[quiet_p50 p50 p99 worst].map { |name| grouped(row.median(name)) }
  puts "| #{row.kind} | #{row.workers} | #{cells.join(" | ")} |"
end
puts
puts "32 idle workers: #{idle.median(:wakes)} wake-ups and #{idle.median(:switches)} context switches in #{seconds} s"
