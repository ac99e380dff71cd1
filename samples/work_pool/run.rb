# frozen_string_literal: true

require "work_pool"
require_relative "complexity"

PATHS = Dir[File.join(__dir__, "input/*.rb")].sort

puts "Methods of #{PATHS.size} files:"
metrics = Complexity.of(PATHS, progress: ->(done, all) { puts "(all analysed)" if done == all })
PATHS.zip(metrics.values) do |path, result|
  puts "  #{File.basename(path)}"
  if result.is_a?(WorkPool::Failure)
    puts "    #{result.error_class}"
  else
    result.each { |method| puts format("    %-12s %2d lines  complexity %d", method.name, method.lines, method.complexity) }
  end
end
puts "By complexity: #{metrics.state.sort.map { |complexity, methods| "#{complexity}: #{methods}" }.join(", ")}"

# Without a head start, each backend does all the work with its own workers.
results = [:sequential, :fork, nil].map { |backend| Complexity.of(PATHS, backend: backend, head_start: 0) }
same = results.map { |result| [result.values.reject { |value| value.is_a?(WorkPool::Failure) }, result.state] }.uniq
puts "sequential, fork and the default backend return #{same.size == 1 ? "equal" : "different"} results"

module Sums
  def self.of_squares(numbers, **options)
    WorkPool.map(numbers, workers: 2, head_start: 0, **options) do |_session, number|
      raise ArgumentError, "not seven" if number == 7

      (1..number).sum { |n| n * n }
    end
  end
end
sums = Sums.of_squares(1..10, backend: :ractor)
puts "", "Sums by Ractors: #{sums.to_a.join(", ")}"

log = $stdout
counter = Hash.new { |hash, key| hash[key] = 0 }
puts "", "Why a block cannot run in a Ractor:"
audit = WorkPool.audit(proc { |_, word| log.puts(counter[word]) }, configuration: { sink: [1, Thread.current] })
puts(audit.grep_v(/ self, /).map { |finding| "  #{finding.sub(/\A.*(?=run\.rb)/, "")}" })
