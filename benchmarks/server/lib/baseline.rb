# frozen_string_literal: true

require_relative "row"

module Bench
  # How often /cpu's method runs without a server: one thread in a loop on each CPU of the servers, all at once. No
  # server can do more, and where the generator has no CPUs of its own, none can do as much.
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

    # Takes its turns between the servers, without being one.
    class Loops < Block
      def start(_installer) = nil
    end

    module_function

    # The loops and nothing else.
    def alone(seconds)
      Loops.new(nil, {}, [Row.new(seconds + 0.5, key("loops")) { { rate: rate(seconds) } }], nil)
    end

    # The loops while the server gets so many requests for /plaintext per second as the block says: what generator and
    # network leave of the CPUs.
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
