# frozen_string_literal: true

# ruby rails.rb [rounds]: computes the metrics of every Ruby file of the installed Rails with each backend and checks
# that they agree. Prints the first time of each, and the shortest of the given number of rounds (default 1).

require "work_pool"
require_relative "complexity"

GEMS = %w[actioncable actionmailbox actionmailer actionpack actiontext actionview activejob activemodel activerecord
          activestorage activesupport railties].freeze
HOMES = ENV.key?("RAILS_GEM_HOME") ? [ENV["RAILS_GEM_HOME"]] : Gem.path
PATHS = Dir[File.join("{#{HOMES.join(",")}}", "gems", "{#{GEMS.join(",")}}-[0-9]*", "**/*.rb")].sort
if PATHS.empty?
  warn "There is no Rails in #{HOMES.join(" or ")}: run `gem install rails`, or set RAILS_GEM_HOME to a directory that has it."
  exit 77
end
SMALL = PATHS.sort_by { |path| [File.size(path), path] }.slice(PATHS.size / 2, 10)
ROUNDS = Integer(ARGV.fetch(0, 1))

def timed
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  result = yield
  [Process.clock_gettime(Process::CLOCK_MONOTONIC) - started, result]
end

# The metrics from each backend. A Failure is replaced by its text, because backtraces differ between backends.
def comparable(result)
  [result.values.map { |value| value.is_a?(WorkPool::Failure) ? value.to_s : value.map(&:to_a) }, result.state]
end

# Results are not kept, because live objects slow down later collections. Processes come last: after a fork, all pages
# of this process are copied on the next write, at the expense of the next backend.
def compare(paths, backends, rounds)
  times = backends.to_h { |backend| [backend, []] }
  done_by = {}
  results = []
  backends.each do |backend|
    rounds.times do
      GC.start
      seconds, result = timed { Complexity.of(paths, backend: backend == :best ? nil : backend) }
      times[backend] << seconds
      done_by[backend] = [result.backend, result.reason].compact.join(": ")
      results |= [comparable(result).hash]
    end
  end
  abort "the backends' results differ" unless results.size == 1

  puts "#{paths.size} files, #{(paths.sum { |path| File.size(path) } / 1e6).round(2)} MB, identical results from each:"
  times.each do |backend, taken|
    puts format("  %-10s first %7.1f ms, best %7.1f ms, %.2f times as fast as sequential (%s)", backend, taken.first * 1e3,
      taken.min * 1e3, times[:sequential].min / taken.min, done_by[backend])
  end
end

compare(SMALL, %i[sequential best], ROUNDS * 10)
compare(PATHS, %i[sequential best fork], ROUNDS)
