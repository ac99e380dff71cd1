# frozen_string_literal: true

require "blocking_wait"
require "timeout"

# Returns once `thread` sleeps: only then is it in the native wait.
def await_sleep(thread)
  Thread.pass until thread.stop?
end

begin
  Timeout.timeout(0.05) { BlockingWait.pop }
rescue Timeout::Error
  puts "Timeout has ended a pop"
end

begin
  BlockingWait.push(1) # the channel's capacity is 1
  Timeout.timeout(0.05) { BlockingWait.push(2) }
rescue Timeout::Error
  puts "Timeout has ended a push; the channel has #{BlockingWait.pop}, as before"
end

thread = Thread.new do
  BlockingWait.pop
ensure
  puts "Thread#kill has ended a pop, and ensure runs"
end
await_sleep(thread)
thread.kill.join

main = Thread.current
begin
  Thread.new do
    await_sleep(main)
    Process.kill(:INT, Process.pid)
    sleep # Ruby 3.1 has no thread only for signals; a sleeping one passes them to the main thread
  end
  BlockingWait.pop
rescue Interrupt
  puts "Ctrl-C has ended a pop"
end

waiting = Thread.new { BlockingWait.pop }
await_sleep(waiting)
BlockingWait.push(42)
puts "a push has ended a pop: #{waiting.value}"
