# frozen_string_literal: true

require "asio_echo_native"

# A line server on 127.0.0.1. Its handler is a module: modules are shareable, so every Ractor calls the same one.
module AsioEcho
  # Serves with `workers` Ractors until the block ends, which gets the port.
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

  # What the handler raises is an answer too; only what is no StandardError ends the worker.
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
    # It died of something worse than a StandardError; its client was told.
  end
  private_class_method :await_end
end
