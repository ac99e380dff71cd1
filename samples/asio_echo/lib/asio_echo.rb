# frozen_string_literal: true

require "asio_echo_native"

# A line server on 127.0.0.1. The handler is a module: modules are shareable, so all Ractors call the same one.
module AsioEcho
  # Serves with `workers` Ractors until the block returns; yields the port.
  def self.open(handler, workers: 2)
    port = start
    ractors = start_workers(workers, handler) do |_, called|
      Thread.current.report_on_exception = false
      AsioEcho.serve_with(called)
    end
    yield port
  ensure
    stop
    ractors&.each { |ractor| await_end(ractor) }
  end

  # A StandardError in the handler is sent as the answer; other exceptions end the worker.
  def self.serve_with(handler)
    serve do |line|
      handler.call(line)
    rescue StandardError => e
      "error: #{e.message}"
    end
  end

  def self.await_end(ractor)
    ractor.respond_to?(:join) ? ractor.join : ractor.take
  rescue Ractor::RemoteError
    # An exception other than a StandardError ended it; its client was notified.
  end
  private_class_method :await_end
end
