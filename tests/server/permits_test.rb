# frozen_string_literal: true

require_relative "support/server_test"

# The number of handlers that run at once. overload_test.rb and streaming_test.rb test that blocked handlers make room
# for others.
class PermitsTest < ServerTest
  HANDLERS = 8
  ROUNDS = 20

  # Computes for 2 ms of CPU time, less than a slice, and tells when it began and when it was done.
  class Computing
    CPU_SECONDS = 0.002

    def call(_env)
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
      enough = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) + CPU_SECONDS
      nil while Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) < enough
      Apps.text("#{began} #{Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)}")
    end
  end

  # How many handlers began while another one had not ended.
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

  # The kernel may put a handler aside for longer than its slice, then the next one begins: seldom, where permits are
  # held, and most of the time, where they are not.
  covers :concurrency, :run_permits
  def test_no_more_handlers_compute_at_once_than_there_are_permits
    skip "this Ruby does not tell of waiting threads" unless Kino::Native.features[:run_permits]
    one = overlapping(concurrency: 1)
    # Even two permits let nearly as many overlap as none do.
    [{ concurrency: HANDLERS }, { concurrency: 1, run_permits: false }].each do |more|
      assert_operator one, :<, overlapping(**more) / 2, more.inspect
    end
  end
end
