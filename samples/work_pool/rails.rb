# frozen_string_literal: true

# ruby rails.rb [rounds]: the figures of every Ruby file of the installed Rails, by each backend. They must agree;
# how long each takes is printed: the first time, and the shortest time of so many rounds (1).

require "work_pool"
require_relative "complexity"

GEMS = %w[actioncable actionmailbox actionmailer actionpack actiontext actionview activejob activemodel activerecord
          activestorage activesupport railties].freeze
HOMES = ENV.key?("RAILS_GEM_HOME") ? [ENV["RAILS_GEM_HOME"]] : Gem.path
PATHS = Dir[File.join("{#{HOMES.join(",")}}", "gems", "{#{GEMS.join(",")}}-[0-9]*", "**/*.rb")].sort
if PATHS.empty?
  warn "There is no Rails below #{HOMES.join(" or ")}: gem install rails, or say where it is with RAILS_GEM_HOME."
  exit 77
end
SMALL = PATHS.sort_by { |path| [File.size(path), path] }.slice(PATHS.size / 2, 10)
ROUNDS = Integer(ARGV.fetch(0, 1))

def timed
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  result = yield
  [Process.clock_gettime(Process::CLOCK_MONOTONIC) - started, result]
end

# The figures by each backend, a Failure as its text: backtraces tell backends apart.
def comparable(result)
  [result.values.map { |value| value.is_a?(WorkPool::Failure) ? value.to_s : value.map(&:to_a) }, result.state]
end

# Results are not kept: what lives makes every later collection longer. And processes come last: a fork leaves all
# pages of this process to be copied when they are next written to, which the backend after it would pay for.
def compare(paths, backends, rounds)
  times = backends.to_h { |backend| [backend, []] }
  done_by = {}
  figures = []
  backends.each do |backend|
    rounds.times do
      GC.start
      seconds, result = timed { Complexity.of(paths, backend: backend == :best ? nil : backend) }
      times[backend] << seconds
      done_by[backend] = [result.backend, result.reason].compact.join(": ")
      figures |= [comparable(result).hash]
    end
  end
  abort "the backends disagree" unless figures.size == 1

  puts "#{paths.size} files, #{(paths.sum { |path| File.size(path) } / 1e6).round(2)} MB, the same figures from each:"
  times.each do |backend, taken|
    puts format("  %-10s first %7.1f ms, best %7.1f ms, %.2f times as fast as sequential (%s)", backend, taken.first * 1e3,
      taken.min * 1e3, times[:sequential].min / taken.min, done_by[backend])
  end
end

compare(SMALL, %i[sequential best], ROUNDS * 10)
compare(PATHS, %i[sequential best fork], ROUNDS)
