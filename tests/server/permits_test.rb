# frozen_string_literal: true

require_relative "support/server_test"

# The number of handlers that run at once. That blocked handlers free their permits is a matter of overload_test.rb and
# streaming_test.rb.
class PermitsTest < ServerTest
  HANDLERS = 8
  ROUNDS = 20

  # Computes for 2 ms of CPU time, less than a slice, and returns the times of its beginning and end.
  class Computing
    CPU_SECONDS = 0.002

    def call(_env)
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
      enough = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) + CPU_SECONDS
      nil while Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) < enough
      Apps.text("#{began} #{Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)}")
    end
  end

  # The number of handlers that began before another one had ended.
  def overlapping(**options)
    server = serve(Computing.new, :ractor, workers: HANDLERS, **options)
    clients = Array.new(HANDLERS) { Client.new(server.port) }
    times = Array.new(ROUNDS) do
      clients.each { |client| client.send_request("GET", "/") }
      clients.map { |client| client.read_response.body.split.map(&:to_i) }
    end
    busy_until = 0
    times.flatten(1).sort.count do |began, ended|
      overlaps = began < busy_until
      busy_until = [busy_until, ended].max
      overlaps
    end
  ensure
    clients&.each(&:close)
  end

  # A handler that is descheduled for longer than its slice also lets the next one begin. So some overlap with permits, but
  # most do without.
  covers :concurrency, :run_permits
  def test_permits_limit_the_number_of_handlers_that_run_at_once
    skip "this Ruby does not report blocked threads" unless Kino::Native.features[:run_permits]
    one = overlapping(concurrency: 1)
    # Not compared with two permits: they let nearly as many overlap as no limit.
    [{ concurrency: HANDLERS }, { concurrency: 1, run_permits: false }].each do |more|
      assert_operator one, :<, overlapping(**more) / 2, more.inspect
    end
  end
end
