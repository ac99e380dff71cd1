# frozen_string_literal: true

module Bench
  # Measures matches in rounds and shows the remaining time.
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

    # Every round visits all matches, with new servers, and begins with another match.
    def run(matches, rounds)
      rounds.times do |round|
        matches.rotate(round * matches.size / rounds).each { |match| visit(match, round) }
      end
    end

    def finish
      $stderr.print("\r\e[K") if $stderr.tty?
    end

    private

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    def visit(match, round)
      servers = {}
      match.blocks.each { |block| servers[block] = start(block) }
      match.turns.times do |turn|
        match.schedule(turn).each { |block, row| measure(row, servers[block], round * match.turns + turn) }
      end
    ensure
      servers&.each_value { |server| server.stop if server.respond_to?(:stop) }
    end

    # The running server, or the reason why there is none.
    def start(block)
      @done += Block::START
      block.start(@installer)
    rescue ServerProcess::Failed => e
      e
    end

    def measure(row, server, turn)
      progress(row)
      server.is_a?(ServerProcess::Failed) ? row.fail(server.message, turn) : row.measure(server, turn)
      @done += row.seconds
    end

    # Progress: one changing line on a terminal, otherwise a line for every percent.
    def progress(row)
      pace = @done.positive? ? (now - @began) / @done : 1.0
      left = [@planned - @done, 0].max * pace
      share = (100 * @done / [@planned, 1].max).floor
      line = format("%3d %%, about %s left: %s %s", share, duration(left), row[:section], row[:server])
      return $stderr.print("\r\e[K#{line}") if $stderr.tty?

      $stderr.puts(line) if share != @printed
      @printed = share
    end

    def duration(seconds)
      seconds < 90 ? "#{seconds.round} s" : "#{(seconds / 60).round} min"
    end
  end
end
