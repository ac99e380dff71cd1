# frozen_string_literal: true

require_relative "../errors"
require_relative "evaluation"

module Kino
  module PumaConfig
    # Runs a configuration file of Puma in a child process, and returns what it called. The file may do anything: exit,
    # wait, raise, or call code that is not loaded here. Nothing that it prints is shown.
    module Recorder
      SECONDS = 10

      # A directive of the file: its name, arguments, line, and whether it was given a block. An argument that cannot be
      # known here is an Unclear.
      Call = Struct.new(:name, :arguments, :line, :block)
      # An error in the statement at +line+; the statements after it were evaluated nevertheless.
      Failure = Struct.new(:line, :message)
      # A value that depends on code or variables that are not available here; +text+ is how it was written.
      Unclear = Struct.new(:text)
      # +entries+: Calls and Failures. +variables+: names and values of the environment that the file read.
      Recording = Struct.new(:entries, :variables)

      # Raises ConfigError if +text+ is not valid Ruby, or cannot be parsed in time.
      def self.record(path, text, seconds: SECONDS)
        reader, writer = IO.pipe(binmode: true)
        child = fork { run(path, text, reader, writer) }
        writer.close
        recording(path, reader, seconds)
      ensure
        reader&.close
        reap(child) if child
      end

      # What is wrong with the text, or nil. In the child, too: parsers need very long for some texts.
      def self.mistake(path, text)
        $VERBOSE = nil
        RubyVM::InstructionSequence.compile(text, path, path, 1)
        nil
      rescue SyntaxError => e
        "#{path} is not valid Ruby:\n#{e.message.scrub("?")}"
      rescue SystemStackError
        "#{path} is nested too deeply"
      end

      # In the child.
      def self.run(path, text, reader, writer)
        reader.close
        Process.setpgrp # so that the parent also ends what the file starts
        [$stdin, $stdout, $stderr].each { |stream| stream.reopen(File::NULL, stream == $stdin ? "r" : "w") }
        report = ->(record) { writer.write([Marshal.dump(record)].pack("m0"), "\n") }
        report.call(mistake = mistake(path, text))
        Evaluation.new(path, text, &report).run unless mistake
        writer.write("end\n")
      ensure
        # No at_exit handler of the file or of this program.
        exit!(0)
      end

      def self.recording(path, reader, seconds)
        made = Recording.new([], {})
        parsed = false
        last = each_record(reader, seconds) do |record|
          case record
          when String then raise ConfigError, record
          when nil then parsed = true
          when Hash then made.variables.merge!(record)
          else made.entries << record
          end
        end
        raise ConfigError, "#{path} cannot be parsed: #{last}" unless parsed

        made.entries << Failure.new(nil, last) if last
        made
      end

      # Yields the records; returns nil at the end, or a sentence about what came instead.
      def self.each_record(reader, seconds)
        deadline = now + seconds
        buffer = +""
        loop do
          ready = IO.select([reader], nil, nil, [deadline - now, 0].max)
          return "it took more than #{seconds} s; the rest of it has not been translated" unless ready

          buffer << reader.readpartial(65_536)
          while (line = buffer.slice!(/\A.*\n/))
            return if line == "end\n"

            yield Marshal.load(line.chomp.unpack1("m0"))
          end
        end
      rescue EOFError
        "it ended the process; the rest of it has not been translated"
      end

      def self.reap(child)
        Process.kill("KILL", -child)
      rescue Errno::ESRCH, Errno::EPERM
        Process.kill("KILL", child)
      ensure
        Process.wait(child)
      end

      def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      private_class_method :mistake, :run, :recording, :each_record, :reap, :now
    end
  end
end
