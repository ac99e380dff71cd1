# frozen_string_literal: true

require_relative "../app/log"
require_relative "../native"
require_relative "log_level"
require_relative "ruby_facts"

module Kino
  # Answers what the native control plane asks Ruby, on a Thread of its own. If it is late, because another Thread keeps the
  # GVL, the control plane answers without it.
  class Inquiries
    # +server+: what "reload" and "stop" are for.
    def initialize(id, server)
      @id = id
      @server = server
    end

    def start
      @thread = Thread.new { serve }
      @thread.name = "kino control"
      @thread.report_on_exception = false
    end

    private

    # Until the native server is stopped.
    def serve
      while (number, subject, detail = Native.next_inquiry(@id))
        Native.answer_inquiry(@id, number, answer(subject, detail))
        # When its answer is on its way.
        @server.request_stop if subject == "stop"
      end
    end

    # A text, which begins with "cannot" if that is the case; nil if there is none.
    def answer(subject, detail)
      case subject
      when "ruby" then RubyFacts.lines
      when "backtraces" then RubyFacts.backtraces
      when "reload" then reload
      when "log-level" then LogLevel.set(detail)
      when "stop" then "stopping"
      end
    rescue StandardError => e
      Log.error("the control plane asked for #{subject}", e)
      "cannot do it: #{e.class}; the log says why" unless %w[ruby backtraces].include?(subject)
    end

    def reload
      @server.reload
      "log files are reopened, and certificates are read again; the log says whether they can be used"
    end
  end
end
