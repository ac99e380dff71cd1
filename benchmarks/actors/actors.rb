# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Calls, casts, starts, restarts and memory of actors.
#
#   ruby --yjit -I samples/actors/lib -I samples/collections/lib -I DIRECTORIES_OF_BOTH_EXTENSIONS benchmarks/actors/actors.rb [ISOLATION...]
#
# Each isolation runs in a process of its own.

require "open3"
require "rbconfig"

ISOLATIONS = ARGV.empty? ? %w[shared own thread] : ARGV
SECONDS = Float(ENV.fetch("SECONDS", 1))

def clock = Process.clock_gettime(Process::CLOCK_MONOTONIC)
def median(numbers) = numbers.sort[numbers.size / 2]
def memory = File.read("/proc/self/status")[/VmRSS:\s*(\d+)/, 1].to_i
def row(name, value) = puts("#{name.ljust(50)} #{value}")

def repeat(seconds = SECONDS)
  times = []
  limit = clock + seconds
  while (start = clock) < limit
    yield
    times << (clock - start)
  end
  times
end

# The definitions need the library.
def define_servers
  Object.class_eval(<<~RUBY, __FILE__, __LINE__ + 1)
    class Echo < Actors::GenServer
      def handle_call(request, _from) = [:reply, request]
      def handle_cast(_message) = nil
      def handle_info(message) = message == :crash ? raise("crash") : nil
    end
    Client = lambda do |server, seconds, to|
      limit = Actors.now + seconds
      count = 0
      while Actors.now < limit
        server.call(count)
        count += 1
      end
      to << count
    end
  RUBY
end

def calls(isolation)
  server = Echo.start(isolation: isolation)
  repeat(0.3) { server.call(1) }
  times = repeat { server.call(1) }.sort
  row "call and answer, one caller", "#{(times.size / SECONDS).round}/s, median #{(median(times) * 1e6).round} us, p99 #{(times[times.size * 99 / 100] * 1e6).round} us"
  clients = Array.new(64) { Actors.spawn(server, SECONDS, Actors.current, isolation: isolation == :own ? :shared : isolation, &Client) }
  total = clients.sum { Actors.receive }
  row "calls, 64 callers", "#{(total / SECONDS).round}/s"
end

def casts(isolation)
  server = Echo.start(isolation: isolation)
  count = 200_000
  start = clock
  count.times { |number| server.cast(number) }
  server.call(:done)
  row "casts, one sender, bounded mailbox", "#{(count / (clock - start)).round}/s"
end

def starts(isolation)
  count = isolation == :shared ? 20_000 : 200
  start = clock
  actors = Array.new(count) { Actors.spawn(isolation: isolation) { receive } }
  started = clock - start
  actors.each { |actor| actor << 1 }
  Actors.sleep(0.001) while actors.any?(&:alive?)
  row "starts, a block", "#{(count / started).round}/s"
  start = clock
  servers = Array.new(count / 10) { Echo.start(isolation: isolation) }
  row "starts, a server, one after the other", "#{(servers.size / (clock - start)).round}/s"
end

def ends(isolation)
  told = Array.new(100) do
    silent = Actors.spawn(isolation: isolation) { receive { |message| message == :end }; raise "end" }
    caller = Actors.spawn(silent, Actors.current, isolation: :thread) { |callee, to| callee.call(1) rescue to << clock }
    Actors.sleep(0.001) until silent.size == 1
    start = clock
    silent << :end
    Actors.receive && (clock - start)
  ensure
    caller&.stop
  end
  row "a caller learns of the callee's end", "median #{(median(told) * 1e6).round} us"
  supervisor = Actors::Supervisor.start(max_restarts: 1_000_000, isolation: isolation) { child Echo, name: :echo, isolation: isolation }
  restarts = Array.new(100) do
    ref = Actors[:echo].whereis
    start = clock
    ref << :crash
    Thread.pass while (now = Actors[:echo].whereis).nil? || now == ref
    now.call(1)
    clock - start
  end
  supervisor.stop
  row "crash, restart and the first answer", "median #{(median(restarts) * 1e6).round} us"
end

def sizes(isolation)
  count = isolation == :shared ? 100_000 : 100
  GC.start
  before = memory
  start = clock
  servers = Array.new(count) { |number| Echo.start(isolation: isolation).tap { |server| server.cast(number) } }
  seconds = clock - start
  row "#{count} idle servers", "#{((memory - before) / 1024.0).round} MB, #{((memory - before) * 1024 / count / 1000.0).round(1)} kB each, started in #{seconds.round(1)} s"
  servers.size
end

if ENV["ONE"]
  require "actors"
  Warning[:experimental] = false
  Actors.report_crashes = false
  define_servers
  isolation = ARGV.first.to_sym
  ENV["ONE"].split(",").each { |name| send(name, isolation) }
else
  paths = $LOAD_PATH.map { |path| "-I#{path}" }
  yjit = defined?(RubyVM::YJIT) && RubyVM::YJIT.enabled? ? ["--yjit"] : []
  ISOLATIONS.each do |isolation|
    puts "isolation: :#{isolation}"
    %w[calls casts starts ends sizes].each do |name|
      command = ["timeout", "-s", "KILL", "60", RbConfig.ruby, "-W0", *yjit, *paths, __FILE__, isolation]
      output, errors, status = Open3.capture3({ "ONE" => name }, *command)
      puts output
      puts "#{name}: #{status}: #{errors.lines.first}" unless status.success?
    end
  end
end
