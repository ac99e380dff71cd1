# frozen_string_literal: true

require "socket"

require_relative "../native"

module Kino
  # The request that a worker's thread handles, for keys of its env whose values all requests share, in all Ractors.
  class CurrentRequest
    KEY = :kino_current_request

    attr_reader :id, :slot
    attr_accessor :env

    def initialize(id, slot)
      @id = id
      @slot = slot
      @env = nil
    end

    # That of the calling thread. Raises RuntimeError in a thread that handles none.
    def self.get(user)
      current = Thread.current.thread_variable_get(KEY)
      return current if current&.env

      raise "kino: #{user} has to be called by the thread that handles the request, while it does"
    end

    # For the thread of a worker.
    def self.start(id, slot)
      current = new(id, slot)
      Thread.current.thread_variable_set(KEY, current)
      current
    end
  end

  # env["rack.early_hints"]: sends a response with status 103 ahead of the response.
  module EarlyHints
    # +headers+ are like those of a response. Several values are an Array, or lines of a String, as Rails has them.
    def self.call(headers)
      current = CurrentRequest.get("rack.early_hints")
      split = headers.transform_values { |value| value.is_a?(String) && value.include?("\n") ? value.split("\n") : value }
      Native.early_hints(current.id, current.slot, split)
    end

    Native.rack_early_hints = self
  end

  # env["rack.hijack"]: takes the connection of a request out of the server.
  module Hijack
    # Where the IO stays, also for Response: a request that has it needs no response.
    IO_KEY = "rack.hijack_io"

    # Returns an IO for the connection, which belongs to the application from now on; the same one for each call.
    def self.call
      current = CurrentRequest.get("rack.hijack")
      current.env[IO_KEY] ||= open(Native.hijack(current.id, current.slot))
    end

    def self.open(descriptor)
      any = Socket.for_fd(descriptor)
      any.autoclose = false
      (any.local_address.unix? ? UNIXSocket : TCPSocket).for_fd(descriptor)
    end
    private_class_method :open

    Native.rack_hijack = self
  end
end
