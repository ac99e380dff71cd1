# frozen_string_literal: true

# One measurement in its own process: one.rb KIND WORKERS HANDLER SECONDS
# Prints one line of JSON. run.rb calls it.

require "json"
require "etc"

kind, workers, handler, seconds = ARGV
WORKERS = Integer(workers)
SECONDS = Float(seconds)
IN_FLIGHT = 64
Warning[:experimental] = false

module Handlers
  def self.fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)

  def self.empty(number) = number

  def self.fib18(number)
    fib(18)
    number
  end

  def self.allocate(number)
    i = 0
    while i < 300
      Object.new
      i += 1
    end
    number
  end

  def self.wait(number)
    sleep 0.005
    number
  end

  # A request numbered -2 computes for two seconds; all others answer immediately.
  def self.slow_core(number)
    if number == -2
      ending = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 2
      fib(12) while Process.clock_gettime(Process::CLOCK_MONOTONIC) < ending
    end
    number
  end
end

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

def value_of(ractor) = ractor.respond_to?(:value) ? ractor.value : ractor.take

def measure_native(kind, handler)
  require "dispatch_bench"
  permits = ENV.fetch("PERMITS", "on") == "on"
  DispatchBench.open(kind, WORKERS, Etc.nprocessors, permits)
  ractors = Array.new(WORKERS) do |index|
    started = Ractor.new(handler) { |name| DispatchBench.serve { |number| Handlers.send(name, number) } }
    Thread.pass until DispatchBench.counts[3] > index
    started
  end
  result = yield
  DispatchBench.stop
  ractors.each { |ractor| value_of(ractor) }
  result
end

def rate(kind, handler)
  measure_native(kind, handler) do
    DispatchBench.produce(IN_FLIGHT)
    sleep 0.3
    items, wakes, = DispatchBench.counts
    began = now
    sleep SECONDS
    items_after, wakes_after, = DispatchBench.counts
    took = now - began
    done = items_after - items
    { rate: done / took, wakes_per_item: (wakes_after - wakes).fdiv([done, 1].max) }
  end
end

def latency_beside_slow_cores(kind)
  measure_native(kind, :slow_core) do
    DispatchBench.probe(200, 500)
    quiet = DispatchBench.probe(500, 1000).sort
    DispatchBench.occupy(Etc.nprocessors)
    busy = DispatchBench.probe(500, 1000).sort
    { quiet_p50: quiet[250], quiet_p99: quiet[495], p50: busy[250], p99: busy[495], worst: busy[-1] }
  end
end

def idle_wakes
  measure_native("kino", :empty) do
    DispatchBench.probe(10, 100)
    sleep 0.5
    before = [DispatchBench.counts[1, 2], switches]
    sleep SECONDS
    after = [DispatchBench.counts[1, 2], switches]
    { wakes: after[0].sum - before[0].sum, switches: after[1] - before[1] }
  end
end

# Voluntary context switches of every thread but this one.
def switches
  Dir["/proc/self/task/*/status"].reject { |path| path.include?("/#{Process.pid}/status") }
    .sum { |path| File.read(path)[/^voluntary_ctxt_switches:\s+(\d+)/, 1].to_i }
end

# With Ruby alone: Ractor#send and back, one producer, round-robin.
def ractor_send(handler)
  if defined?(Ractor::Port)
    back = Ractor::Port.new
    ractors = Array.new(WORKERS) do
      Ractor.new(handler, back) do |name, port|
        while (number = Ractor.receive)
          port << Handlers.send(name, number)
        end
      end
    end
    receive = -> { back.receive }
  else
    main = Ractor.current
    ractors = Array.new(WORKERS) do
      Ractor.new(handler, main) do |name, port|
        while (number = Ractor.receive)
          port.send(Handlers.send(name, number))
        end
      end
    end
    receive = -> { Ractor.receive }
  end
  counted_loop(receive, ->(turn) { ractors[turn % WORKERS].send(turn) })
end

def thread_queue(handler)
  queue = Thread::Queue.new
  back = Thread::Queue.new
  Array.new(WORKERS) do
    Thread.new { while (number = queue.pop) do back << Handlers.send(handler, number) end }
  end
  counted_loop(-> { back.pop }, ->(turn) { queue << turn })
end

def counted_loop(receive, send)
  turn = 0
  IN_FLIGHT.times { send.(turn += 1) }
  warm = now + 0.3
  (receive.call; send.(turn += 1)) while now < warm
  done = 0
  began = now
  ending = began + SECONDS
  while (time = now) < ending
    16.times { receive.call; send.(turn += 1) }
    done += 16
  end
  { rate: done / (time - began), wakes_per_item: nil }
end

result =
  case [kind, handler]
  in [_, "idle"] then idle_wakes
  in [_, "slow_core"] then latency_beside_slow_cores(kind)
  in ["ractor_send", _] then ractor_send(handler.to_sym)
  in ["thread_queue", _] then thread_queue(handler.to_sym)
  else rate(kind, handler.to_sym)
  end
puts JSON.generate(result)
$stdout.flush
exit! 0
