# frozen_string_literal: true

# ruby endless.rb BACKEND HOW: begins a map that never ends by itself, ends it with Timeout, Thread#kill or Thread#raise,
# and prints the outcome. A Ractor in an endless loop ends only with its process, so each case has a process
# of its own. It is a new one, not a fork: not every Ruby can fork beside Ractors.

require "timeout"
require "work_pool"

# In a module: a Ruby without shareable_proc sends a block's self with it.
module Endless
  def self.map(inputs, backend)
    WorkPool.map(inputs, workers: 2, head_start: 0, backend: backend) do |_, descriptor|
      IO.for_fd(descriptor, autoclose: false).syswrite("x")
      number = 0
      number += 1 until number.negative?
    end
  end
end

backend, how = ARGV.map(&:to_sym)
reader, writer = IO.pipe
map = Thread.new do
  Thread.current.report_on_exception = false
  Timeout.timeout(how == :timeout ? 0.2 : nil) { Endless.map([writer.fileno] * 4, backend) }
end
reader.read(2) unless how == :timeout # both workers are in their loops
map.kill if how == :kill
map.raise(IOError) if how == :raise
begin
  map.join
  puts "ended"
rescue StandardError => e
  puts e.class
end
$stdout.flush
exit!(0)
