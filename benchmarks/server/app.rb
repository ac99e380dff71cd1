# frozen_string_literal: true

require "json"

# The application of all server benchmarks. It is one frozen object without state, so servers can run it in
# processes, Threads, Fibers or Ractors.
class BenchmarkApp
  TEXT = { "content-type" => "text/plain" }.freeze
  JSON_TYPE = { "content-type" => "application/json" }.freeze
  HELLO = "Hello, World!"
  TEN_K = ("0123456789abcdef" * 640).freeze
  CHUNK = "#{"." * 127}\n".freeze

  # A body that is generated in chunks.
  class Chunks
    def each
      100.times { yield CHUNK }
    end
  end
  CHUNKS = Chunks.new.freeze

  # A body that pauses, to determine whether a server streams.
  class Drip
    def each
      yield "drip"
      sleep 0.6
      yield "drop"
    end
  end
  DRIP = Drip.new.freeze

  def call(env)
    case env["PATH_INFO"]
    when "/plaintext" then text(HELLO)
    when "/10k" then text(TEN_K)
    when "/cpu" then text(fib(20).to_s)
    when "/io"
      sleep 0.005
      text("waited")
    when "/io_native"
      self.class.native_sleep(0.005)
      text("waited")
    when "/json" then [200, JSON_TYPE.dup, [JSON.generate({ message: HELLO, numbers: [1, 2, 3], nested: { ok: true } })]]
    when "/upload"
      body = env["rack.input"].read
      text("#{body.bytesize} bytes, the last #{body.byteslice(-8, 8)}")
    when "/headers" then text("#{env["HTTP_COOKIE"].to_s.bytesize} bytes of cookies")
    when "/stream" then [200, TEXT.dup, CHUNKS]
    when "/drip" then [200, TEXT.dup, DRIP]
    when "/slow"
      ending = now + 2
      fib(12) while now < ending
      text("computed")
    else [404, TEXT.dup, ["not found"]]
    end
  end

  def fib(n)
    n < 2 ? n : fib(n - 1) + fib(n - 2)
  end

  # The server's replacement for Kernel#sleep, if it has one.
  def self.native_sleep(seconds)
    defined?(::Kino) && ::Kino.respond_to?(:sleep) ? ::Kino.sleep(seconds) : sleep(seconds)
  end

  private

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  def text(body)
    [200, TEXT.dup, [body]]
  end
end
