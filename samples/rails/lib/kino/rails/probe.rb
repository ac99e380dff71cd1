# frozen_string_literal: true

module KinoRails
  # Runs code in a Ractor, to find out what it does there. The answers depend on nothing else: no version is compared.
  module Probe
    # The error that the code raises in a Ractor, or nil. The block is isolated from its surroundings; it reads constants.
    def self.error(*arguments, &code)
      ractor = Ractor.new(*arguments, Ractor.shareable_proc(&code)) do |*given, body|
        body.call(*given)
        nil
      rescue Exception => e # it is the answer
        "#{e.class}: #{e.message}"
      end
      ractor.value
    end

    def self.fails?(...) = !error(...).nil?

    # A class variable with a shareable value, which Ruby 4.0 does not let Ractors read.
    class ClassVariable
      @@value = true # what is probed
      def self.value = @@value
    end

    def self.class_variables_readable? = !fails? { ClassVariable.value }

    # Blocks captured by one Ractor, and by each of two at once.
    CAPTURES = 2000
    ROUNDS = 3
    # The CPU time of two is twice that of one, or five times on a busy machine; with the bug a hundred times.
    SUSPICIOUS = 15

    # Whether each block that captures its surroundings stops all Ractors (bugs.ruby-lang.org 22224). Measured in CPU time,
    # which other processes do not change much; two Ractors may miss each other, so the largest ratio counts.
    def self.captures_stop_ractors?
      ROUNDS.times.any? { capture_cpu(2) > SUSPICIOUS * capture_cpu(1) }
    end

    def self.capture_cpu(ractors)
      Array.new(ractors) { Ractor.new { Probe.capture_blocks } }.sum(&:value)
    end

    # In a method of its own, so that each call has surroundings of its own.
    def self.captured(value) = proc { value }

    def self.capture_blocks
      before = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID)
      CAPTURES.times { |n| captured(n) }
      Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) - before
    end
    private_class_method :capture_cpu
  end
end
