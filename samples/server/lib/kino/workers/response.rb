# frozen_string_literal: true

require_relative "../app/log"
require_relative "../native"
require_relative "current_request"
require_relative "file_body"

module Kino
  # Sends the responses that do not fit the one-crossing path: enumerable and callable bodies, bodies
  # with to_ary, and those to requests with rack.response_finished callbacks. It runs inside worker Ractors:
  # everything it reads is shareable.
  module Response
    FAILED_HEADERS = Ractor.make_shareable({ "content-type" => "text/plain; charset=utf-8" })
    FAILED_BODIES = Ractor.make_shareable({
      400 => ["Bad Request\n"],
      408 => ["Request Timeout\n"],
      413 => ["Content Too Large\n"],
      500 => ["Internal Server Error\n"],
      503 => ["Service Unavailable\n"]
    })

    # Answers the slot's current request and returns the next one (nil: no more). Raises only before
    # anything has been sent, so the caller can still answer 500.
    def self.send(id, slot, env, status, headers, body)
      return hijacked(id, slot, env, status, headers, body) if env[Hijack::IO_KEY]

      # nil: this body cannot be an Array, as in Ruby's own conversions, so it is enumerated. Rack specifies that to_ary
      # of a body with #close closes it.
      chunks = body.to_ary if body.respond_to?(:to_ary) && !body.respond_to?(:trailers)
      return complete(id, slot, env, status, headers, chunks) unless chunks.nil?

      begin
        error = deliver(id, slot, env, status, headers, body)
      ensure
        # Also if this worker is being killed: an open body may hold a lock or a connection.
        close(body, env)
      end
      finish(env, status, headers, error)
      Native.take(id, slot)
    end

    # Sends a complete body. Callbacks must run between this response and the next request, so only
    # requests with callbacks take two steps.
    def self.complete(id, slot, env, status, headers, chunks)
      callbacks = env["rack.response_finished"]
      return Native.answer_and_take(id, slot, status, headers, chunks) if callbacks.nil? || callbacks.empty?
      return hijacked(id, slot, env, status, headers, chunks) if env[Hijack::IO_KEY]

      error = pour(id, slot, env, status, headers, chunks)
      finish(env, status, headers, error)
      Native.take(id, slot)
    end

    # Answers a request whose handler raised +error+; +status+ is that of the client error, if one caused it.
    def self.failed(id, slot, env, error, status = 500)
      callbacks = env["rack.response_finished"]
      body = FAILED_BODIES.fetch(status, FAILED_BODIES[500])
      return Native.answer_and_take(id, slot, status, FAILED_HEADERS, body) if callbacks.nil? || callbacks.empty?
      return hijacked(id, slot, env, status, FAILED_HEADERS, body, error) if env[Hijack::IO_KEY]

      pour(id, slot, env, status, FAILED_HEADERS, body)
      finish(env, status, FAILED_HEADERS, error)
      Native.take(id, slot)
    end

    # The application has the connection; what it returned, or raised, is no response.
    def self.hijacked(id, slot, env, status, headers, body, error = nil)
      close(body, env)
      finish(env, status, headers, error)
      Native.take(id, slot)
    end

    def self.pour(id, slot, env, status, headers, chunks)
      length = silent?(env, status) ? nil : chunks.sum(&:bytesize)
      stream = Native.stream(id, slot, status, headers, length)
      guard(stream, env) { chunks.each { |chunk| stream.write(chunk) } }
    end

    def self.deliver(id, slot, env, status, headers, body)
      if silent?(env, status)
        head_only(id, slot, env, status, headers)
      elsif body.respond_to?(:each)
        enumerate(id, slot, env, status, headers, body)
      elsif body.respond_to?(:call)
        converse(id, slot, env, status, headers, body)
      else
        raise PartialHijack if headers.respond_to?(:key?) && headers.key?("rack.hijack") # which is the body
        raise TypeError, "the app returned nil instead of [status, headers, body]" if [status, headers, body].none?
        raise TypeError, "the app's response body is #{body.class}, which responds to none of #to_ary, #each " \
                         "and #call; return an Array of Strings"
      end
    end

    # A body that raises before its first chunk produces a 500; one without chunks produces an empty response
    # with a length.
    def self.enumerate(id, slot, env, status, headers, body)
      file = FileBody.open(status, headers, body)
      stream = Native.stream(id, slot, status, headers, file&.length)
      if file
        file.pour_into(stream)
        return stream.close
      end
      if body.respond_to?(:trailers)
        stream.pour(body)
        stream.close_with(body.trailers)
        return
      end
      stream = Native.stream(id, slot, status, headers, 0) unless stream.pour(body)
      stream.close
      nil
    rescue StandardError => e
      raise_or_cut(stream, env, e)
    ensure
      file&.close
    end

    # A callable body reads from and writes to the connection until it returns. One that raises before its first
    # write produces a 500, too.
    def self.converse(id, slot, env, status, headers, body)
      stream = Native.stream(id, slot, status, headers, nil)
      stream.flush if status.to_i == 101 # the body may read first, and its client waits for the head
      trailers = body.respond_to?(:trailers)
      stream.expect_trailers if trailers # the body may close the stream, but its trailers come after that
      body.call(stream)
      trailers ? stream.close_with(body.trailers) : stream.close
      nil
    rescue StandardError => e
      raise_or_cut(stream, env, e)
    end

    # HEAD, 204, 205 and 304: the body would not be sent, so it is not called.
    def self.head_only(id, slot, env, status, headers)
      stream = Native.stream(id, slot, status, headers, nil)
      guard(stream, env) {}
    end

    def self.guard(stream, env)
      yield
      stream.close
      nil
    rescue StandardError => e
      cut(stream, env, e)
    end

    # Until the head has been sent, the caller can still answer 500.
    def self.raise_or_cut(stream, env, error)
      raise error unless stream&.head_sent?

      cut(stream, env, error)
    end

    # Sent bytes cannot be undone: the connection is aborted, so a partial response never looks
    # complete. The reason is in the log before the client sees that.
    def self.cut(stream, env, error)
      # A client that disconnects is not the app's fault, and common.
      client_left = error.is_a?(Errno::EPIPE) || error.is_a?(BodyError)
      Log.error("#{Log.request(env)} failed while its response body was written", error) unless client_left
      error
    ensure
      stream.abort
    end

    def self.close(body, env)
      body.close if body.respond_to?(:close)
    rescue StandardError => e
      Log.error("#{Log.request(env)} raised in its body's #close", e)
    end

    # Rack's rack.response_finished callbacks: called in reverse order; one that raises does not affect the others. Those
    # without parameters are Puma's rack.after_reply.
    def self.finish(env, status, headers, error)
      callbacks = env["rack.response_finished"]
      return if callbacks.nil? || callbacks.empty?

      callbacks.reverse_each do |callback|
        bare = callback.respond_to?(:arity) && callback.arity.zero?
        bare ? callback.call : callback.call(env, status, headers, error)
      rescue StandardError => e
        Log.error("#{Log.request(env)} raised in a rack.response_finished callback", e)
      end
    end

    def self.silent?(env, status)
      status == 204 || status == 205 || status == 304 || env["REQUEST_METHOD"] == "HEAD"
    end
  end
end
