# frozen_string_literal: true

module Bench
  # wrk, to verify our generator.
  module Wrk
    def self.run(port, path, connections:, seconds:, scheme: "http")
      command = ["wrk", "-t1", "-c", connections.to_s, "-d", "#{seconds.ceil}s", "--latency", "#{scheme}://127.0.0.1:#{port}#{path}"]
      output = IO.popen(Machine.pinned(Machine.load_cpus, command), err: File::NULL, &:read)
      problem = output[/^\s*(Socket errors.*|Non-2xx.*)/, 1]
      rate = output[%r{Requests/sec:\s+([\d.]+)}, 1]
      return { failed: problem || "wrk printed no rate" } if problem || !rate

      { rate: rate.to_f, requests: output[/(\d+) requests in/, 1].to_i }
    rescue Errno::ENOENT
      { failed: "wrk is not installed" }
    end
  end
end
