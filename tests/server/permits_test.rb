# frozen_string_literal: true

require_relative "support/server_test"

# The number of handlers that run at once. That blocked handlers free their permits is a matter of overload_test.rb and
# streaming_test.rb.
class PermitsTest < ServerTest
  HANDLERS = 8
  # Seconds that a handler has for itself while others wait, if permits allow only one.
  SLICE = 0.01

  # Responds with the time of its beginning. It computes, without a call that frees its permit, for longer than a slice if
  # the path says so.
  class Computing
    def call(env)
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      nil while env["PATH_INFO"] == "/compute" && Process.clock_gettime(Process::CLOCK_MONOTONIC) < began + (4 * SLICE)
      Apps.text(began.to_s)
    end
  end

  # The time from before a request whose handler computes to the beginning of the next handler.
  def head_start(server)
    served = server.stats[:served]
    Client.open(server.port) do |first|
      sent = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      first.send_request("GET", "/compute")
      # On a busy machine, it may have ended before this Thread runs again.
      Thread.pass until server.stats.then { |now| now[:in_flight] == 1 || now[:served] > served }
      began = Client.open(server.port) { |second| second.get("/").body.to_f }
      assert_equal 200, first.read_response.status
      Thread.pass until server.stats[:in_flight].zero?
      began - sent
    end
  end

  # A busy machine only makes a head start longer. Without the limit, the next handler begins at once; on a busy machine,
  # at once some time.
  covers :concurrency, :run_permits
  def test_permits_limit_the_number_of_handlers_that_run_at_once
    skip "this Ruby does not report blocked threads" unless Kino::Native.features[:run_permits]
    one = serve(Computing.new, :ractor, workers: HANDLERS, concurrency: 1)
    20.times { assert_operator head_start(one), :>=, SLICE }
    [{ concurrency: HANDLERS }, { concurrency: 1, run_permits: false }].each do |more|
      server = serve(Computing.new, :ractor, workers: HANDLERS, **more)
      eventually("handlers run at once with #{more}") { head_start(server) < SLICE }
    end
  end
end
