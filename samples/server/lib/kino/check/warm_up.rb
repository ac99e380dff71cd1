# frozen_string_literal: true

require "io/wait"
require "stringio"

require_relative "../app/backtrace"
require_relative "../app/exit_text"
require_relative "../workers/encodings"
require_relative "cause_chain"

module Kino
  module Check
    # One GET request to the app in a Ractor of a forked process, which is killed when it takes too long. Whatever the
    # request does to memory, the app in this process is not affected.
    class WarmUp
      TIMEOUT_SECONDS = 30
      # The body is read up to this size; a stream may never end.
      BODY_BYTES = 1 << 20

      # The block is called first, in that process.
      def self.of(app, path, shareable:, timeout: TIMEOUT_SECONDS, &prepare)
        return new(path, "skipped" => "Ractors cannot share the app") unless shareable
        return new(path, "skipped" => "this system cannot fork") unless Process.respond_to?(:fork)

        new(path, in_child(timeout) { in_ractor(app, path, &prepare) })
      end

      # What the block returns in a forked process, or why there is no result.
      def self.in_child(timeout, &block)
        deadline = now + timeout
        reader, writer = IO.pipe(binmode: true)
        pid = fork { answer(reader, writer, &block) }
        writer.close
        text = read(reader, deadline)
        return Marshal.load(text) if text

        waiter = Process.detach(pid)
        waiter.join([deadline - now, 0].max) ? { "ended" => ExitText.of(waiter.value) } : { "timeout" => timeout }
      ensure
        reader&.close
        reap(pid, waiter || Process.detach(pid)) if pid
      end

      def self.now
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end

      # Reads what the child sends, length first, so that a descriptor that its own children keep open does not matter.
      # Nil without an answer.
      def self.read(reader, deadline)
        text = +"".b
        until text.bytesize >= 8 && text.bytesize - 8 >= text.unpack1("Q")
          left = deadline - now
          return unless left.positive? && reader.wait_readable(left)

          text << reader.readpartial(1 << 16)
        end
        text.byteslice(8..)
      rescue EOFError
        nil
      end

      def self.answer(reader, writer)
        reader.close
        Warning[:experimental] = false
        text = Marshal.dump(yield)
        writer.write([text.bytesize].pack("Q"), text)
        writer.close
      ensure
        exit!(0) # neither at_exit handlers of the app nor a Ractor that is stuck
      end

      # The pid is the child's until the waiter has ended.
      def self.reap(pid, waiter)
        Process.kill(:KILL, pid) if waiter.alive?
        waiter.join
      rescue Errno::ESRCH
        nil
      end

      def self.in_ractor(app, path)
        yield if block_given?
        Encodings.load_all
        ractor = Ractor.new(app, path) { |shared, target| Kino::Check::WarmUp.request(shared, target) }
        ractor.respond_to?(:value) ? ractor.value : ractor.take
      rescue Exception => e # the Ractor itself failed
        { "causes" => CauseChain.of(e) }
      end

      # Runs in the Ractor.
      def self.request(app, path)
        status, _headers, body = app.call(env(path))
        drain(body)
        { "status" => Integer(status) }
      rescue Exception => e # it is reported
        { "causes" => CauseChain.of(e) }
      end

      def self.drain(body)
        if body.respond_to?(:each)
          size = 0
          body.each { |part| break if (size += part.bytesize) > BODY_BYTES }
        elsif body.respond_to?(:call)
          body.call(StringIO.new(+"".b))
        end
      ensure
        body.close if body.respond_to?(:close)
      end

      def self.env(path)
        path, query = path.split("?", 2)
        { "REQUEST_METHOD" => "GET", "SCRIPT_NAME" => +"", "PATH_INFO" => path.dup, "QUERY_STRING" => query.to_s.dup,
          "SERVER_NAME" => "localhost", "SERVER_PORT" => "80", "SERVER_PROTOCOL" => "HTTP/1.1", "HTTP_HOST" => "localhost",
          "REMOTE_ADDR" => "127.0.0.1", "rack.url_scheme" => "http", "rack.input" => StringIO.new(+"".b),
          "rack.errors" => $stderr }
      end
      private_class_method :in_child, :now, :read, :answer, :reap, :in_ractor, :drain, :env

      attr_reader :path

      def initialize(path, result)
        @path = path
        @result = result
      end

      # Whether the app responded, and not with a server error.
      def ok?
        @result["status"]&.between?(100, 499) || false
      end

      def to_h
        { "path" => path, "ok" => ok? }.merge(@result)
      end

      def to_s
        request = "GET #{path} in a Ractor"
        if @result["status"] then "#{request} was answered with #{@result["status"]}."
        elsif @result["skipped"] then "#{request} was not tried: #{@result["skipped"]}."
        elsif @result["timeout"] then "#{request} was not answered within #{@result["timeout"]} s."
        elsif @result["ended"] then "#{request} ended its process: #{@result["ended"]}."
        else "#{request} raised:\n#{CauseChain.text(@result["causes"])}"
        end
      end
    end
  end
end
