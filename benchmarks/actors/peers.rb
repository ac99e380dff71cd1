# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# The same echo server with each library that compare.rb compares.

# An object for each library has
#   server                              a new server
#   call(server, number)                its answer
#   cast(server, number)                without waiting
#   starts                              how many servers to start, one after the other
#   together(server, callers, seconds)  number of calls that so many callers make at once
module Peers
  class Kino
    def initialize
      Warning[:experimental] = false
      Object.class_eval(<<~RUBY, __FILE__, __LINE__ + 1)
        class KinoEcho < Actors::GenServer
          def handle_call(request, _from) = [:reply, request]
          def handle_cast(_message) = nil
        end
        KinoCaller = lambda do |server, limit, to|
          count = 0
          count += 1 while server.call(count) && Actors.now < limit
          to << count
        end
      RUBY
    end

    def server = KinoEcho.start
    def call(server, number) = server.call(number)
    def cast(server, number) = server.cast(number)
    def starts = 10_000

    def together(server, callers, seconds)
      limit = Actors.now + seconds
      callers.times { Actors.spawn(server, limit, Actors.current, &KinoCaller) }
      Array.new(callers) { Actors.receive }.sum
    end
  end

  # With threads that call; the libraries have no lighter callers.
  module Threaded
    def together(server, callers, seconds)
      limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
      Array.new(callers) do
        Thread.new do
          count = 0
          count += 1 while call(server, count) && Process.clock_gettime(Process::CLOCK_MONOTONIC) < limit
          count
        end
      end.sum(&:value)
    end
  end

  class RactorShepherd
    include Threaded

    def initialize
      Warning[:experimental] = false
      Object.class_eval(<<~RUBY, __FILE__, __LINE__ + 1)
        class ShepherdEcho
          include RactorShepherd::Server
          def handle_call(message) = message
          def handle_cast(_message) = nil
        end
      RUBY
      @top = ::RactorShepherd.start_dynamic(name: :root)
      @count = 0
    end

    # An Address is one Thread's own, so each has one.
    def server
      name = :"echo#{@count += 1}"
      @top.start_child(::RactorShepherd.worker(name, ShepherdEcho))
      name
    end

    def call(server, number) = address(server).call(number)
    def cast(server, number) = address(server).cast(number)
    def starts = 200

    private

    def address(server) = Thread.current[server] ||= @top.lookup(server)
  end

  class ConcurrentRuby
    include Threaded

    def server = Concurrent::Actor::Utils::AdHoc.spawn(name: "echo") { ->(message) { message } }
    def call(server, number) = server.ask!(number)
    def cast(server, number) = server.tell(number)
    def starts = 10_000
  end

  LIBRARIES = {
    "kino-actors" => ["actors", Kino],
    "ractor_shepherd" => ["ractor_shepherd", RactorShepherd],
    "concurrent-ruby-edge" => ["concurrent-edge", ConcurrentRuby]
  }.freeze
end

# Prints a line "name: number" for each measurement.
module Measure
  CASTS = 200_000

  module_function

  def clock = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  def run(library, seconds)
    server = library.server
    library.together(server, 1, seconds / 4) # warms up
    report "call", library.together(server, 1, seconds) / seconds
    report "calls", library.together(server, 64, seconds) / seconds
    report "casts", CASTS / timed { CASTS.times { |number| library.cast(server, number) } && library.call(server, 1) }
    report "starts", library.starts / timed { library.starts.times { library.server } }
  end

  def timed
    start = clock
    yield
    clock - start
  end

  def report(name, rate)
    puts "#{name}: #{rate.round}"
    $stdout.flush
  end
end

if $PROGRAM_NAME == __FILE__
  feature, build = Peers::LIBRARIES.fetch(ARGV[0])
  begin
    require feature
  rescue LoadError => e
    abort "missing: #{e.message}"
  end
  Measure.run(build.new, Float(ARGV[1]))
  exit!(true) # without waiting for actors
end
