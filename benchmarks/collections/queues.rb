# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Bounded queues of Ruby objects between Ractors: throughput, and CPU time while a consumer waits.
#
#   ruby --yjit -I samples/collections/lib -I DIRECTORY_OF_THE_EXTENSION benchmarks/collections/queues.rb
#
# The queues run in turns, each time in a process of its own; those whose gem is missing are left out. Medians are printed.

require "open3"
require "rbconfig"

# Each is made by its block, and has push and pop.
QUEUES = {
  "kino/collections" => -> { Kino::Channel.new(1024) },
  "ratomic" => -> { Ratomic::Queue.new(1024) },
  "ractor_queue" => -> { RactorQueue.new(capacity: 1024) }
}.freeze
OBJECTS = 200_000 # of each of two producers
TURNS = 5
LIMIT = 60 # seconds of a run

def clock(kind) = Process.clock_gettime(kind)

def measure
  start = [Process::CLOCK_MONOTONIC, Process::CLOCK_PROCESS_CPUTIME_ID].map { |kind| clock(kind) }
  yield
  [Process::CLOCK_MONOTONIC, Process::CLOCK_PROCESS_CPUTIME_ID].zip(start).map { |kind, before| clock(kind) - before }
end

# Prints objects per second, microseconds of CPU time per object, and the share of a CPU that a waiting consumer uses.
def run_one(library)
  require library
  Warning[:experimental] = false
  Object.const_set(:QUEUE, QUEUES.fetch(library).call)
  seconds, busy = measure do
    producers = Array.new(2) { Ractor.new { OBJECTS.times { |number| QUEUE.push(number) } && nil } }
    consumers = Array.new(2) { Ractor.new { OBJECTS.times { QUEUE.pop } && nil } }
    (producers + consumers).each { |ractor| ractor.respond_to?(:join) ? ractor.join : ractor.take }
  end
  waiting = Ractor.new { QUEUE.pop }
  sleep 0.2
  waited, used = measure { sleep 1 }
  QUEUE.push(1)
  waiting.respond_to?(:join) ? waiting.join : waiting.take
  total = 2 * OBJECTS
  puts [total / seconds, busy / total * 1e6, used / waited * 100].join(" ")
end

def median(numbers) = numbers.sort[numbers.size / 2]

def run_all
  results = Hash.new { |hash, library| hash[library] = [] }
  paths = $LOAD_PATH.map { |path| "-I#{path}" }
  yjit = defined?(RubyVM::YJIT) && RubyVM::YJIT.enabled? ? ["--yjit"] : []
  TURNS.times do
    QUEUES.each_key do |library|
      command = ["timeout", "-s", "KILL", LIMIT.to_s, RbConfig.ruby, "-W0", *yjit, *paths, __FILE__, library]
      output, status = Open3.capture2(*command, err: File::NULL)
      results[library] << output.split.map(&:to_f) if status.success?
    end
  end
  puts "| queue | runs | objects/s | µs of CPU per object | a waiting consumer, % of a CPU |", "| --- | --- | --- | --- | --- |"
  results.each do |library, runs|
    rate, cpu, idle = runs.transpose.map { |column| median(column) }
    puts format("| %s | %d | %d | %.2f | %.1f |", library, runs.size, rate, cpu, idle)
  end
end

ARGV.empty? ? run_all : run_one(ARGV.first)
