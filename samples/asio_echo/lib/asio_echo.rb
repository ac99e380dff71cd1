# frozen_string_literal: true

require "asio_echo_native"

# A line server on 127.0.0.1. Its handler is a module: modules are shareable, so every Ractor calls the same one.
module AsioEcho
  # Serves with `workers` Ractors until the block ends, which gets the port.
  def self.open(handler, workers: 2)
    port = start
    ractors = Array.new(workers) { worker(handler) }
    yield port
  ensure
    stop
    ractors&.each { |ractor| await_end(ractor) }
  end

  # Ractors start one by one, each after the one before has joined.
  def self.worker(handler)
    ractor = Ractor.new(handler) do |called|
      Thread.current.report_on_exception = false
      AsioEcho.serve_with(called)
    end
    await_worker
    ractor
  end
  private_class_method :worker

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
