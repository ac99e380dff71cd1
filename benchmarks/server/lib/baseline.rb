# frozen_string_literal: true

require_relative "row"

module Bench
  # The rate of /cpu's method without a server: one thread in a loop on each CPU of the servers, all at once. It is the
  # upper bound for a server, which cannot be reached if the generator shares the CPUs.
  module Baseline
    CODE = <<~RUBY
      require ARGV[0]
      app = BenchmarkApp.new.freeze
      now = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
      ending = now.() + 0.3
      app.fib(20) while now.() < ending
      count = 0
      ending = (began = now.()) + ARGV[1].to_f
      while now.() < ending
        app.fib(20)
        count += 1
      end
      puts count / (now.() - began)
    RUBY

    # Alternates with the servers like one of them.
    class Loops < Block
      def start(_installer) = nil
    end

    module_function

    # Runs only the loops.
    def alone(seconds)
      Loops.new(nil, {}, [Row.new(seconds + 0.5, key("loops")) { { rate: rate(seconds) } }], nil)
    end

    # Runs the loops while the server gets as many requests for /plaintext per second as the block returns: the share
    # of the CPUs that generator and network leave.
    def beside_requests(seconds)
      Row.new(seconds + 0.5, key("bare")) do |server|
        requests = Thread.new do
          Generator.run(server.port, Endpoint::ALL.fetch("plaintext"), connections: 64, seconds: seconds, warmup: 0.4, rate: yield)
        end
        { rate: rate(seconds) }.merge(requests.value.slice(:failed, :asked_rate, :notes))
      end
    end

    def key(server) = { section: "baseline", server: server, endpoint: "cpu" }

    # Turns per second of all loops.
    def rate(seconds)
      command = [RbConfig.ruby, *(Machine.jit? ? ["--yjit"] : []), "-e", CODE, File.join(Peers::HERE, "app.rb"), seconds.to_s]
      loops = Machine.all_server_cpus.map { |cpu| IO.popen(Machine.pinned([cpu], command)) }
      loops.sum { |io| io.read.to_f.tap { io.close } }
    end
  end
end
