# frozen_string_literal: true

require_relative "row"

module Bench
  # How often a single thread runs /cpu's method when nothing is around it: what a server can reach at best is
  # this times the CPUs.
  class Baseline
    CODE = <<~RUBY
      require ARGV[0]
      app = BenchmarkApp.new.freeze
      count = 0
      now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
      ending = now.() + 0.5
      app.fib(20) while now.() < ending
      began = now.()
      while (time = now.()) < began + 1.5
        app.fib(20)
        count += 1
      end
      puts count / (time - began)
    RUBY

    attr_reader :rates

    def initialize
      @rates = []
    end

    def measure
      command = [*(Machine.jit? ? ["--yjit"] : []), "-e", CODE, File.join(Peers::HERE, "app.rb")]
      @rates << IO.popen(Machine.pinned(Machine.server_cpus, [RbConfig.ruby, *command]), &:read).to_f
    end

    def rate = @rates.sort[@rates.size / 2]
    def limit = rate * Machine.server_cpu_count
  end
end
