# frozen_string_literal: true

module Bench
  # Measures blocks in rounds and says how long it will take.
  class Runner
    def initialize(settings, installer)
      @settings = settings
      @installer = installer
      @began = now
      @planned = 0.0
      @done = 0.0
    end

    def plan(seconds)
      @planned += seconds
    end

    # Every round visits all blocks and begins at another one, so that nobody always has the same neighbour.
    def run(blocks, rounds)
      rounds.times do |round|
        blocks.rotate(round * blocks.size / rounds).each do |block|
          progress(block)
          visit(block)
          @done += block.seconds
        end
      end
    end

    def skip(seconds)
      @done += seconds
    end

    def progress(block)
      passed = now - @began
      pace = @done.positive? ? passed / @done : 1.0
      left = [@planned - @done, 0].max * pace
      line = format("%3d %%, about %s left: %s %s", 100 * @done / [@planned, 1].max, duration(left), block.rows.first[:section], block.peer.name)
      $stderr.tty? ? $stderr.print("\r\e[K#{line}") : $stderr.puts(line)
    end

    def finish
      $stderr.print("\r\e[K") if $stderr.tty?
    end

    def duration(seconds)
      seconds < 90 ? "#{seconds.round} s" : "#{(seconds / 60).round} min"
    end

    private

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    def visit(block)
      server = ServerProcess.new(block.peer, installer: @installer, **block.options)
      server.start(block.probe)
      block.rows.each { |row| row.measure(server) }
    rescue ServerProcess::Failed => e
      block.rows.each { |row| row.fail(e.message) }
    ensure
      server&.stop
    end
  end
end
