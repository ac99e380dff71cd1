# frozen_string_literal: true

require_relative "../app/log"
require_relative "../native"
require_relative "ruby_facts"

module Kino
  # Answers what the native control plane asks Ruby, on a Thread of its own. If it is late, because another Thread keeps the
  # GVL, the control plane answers without it.
  class Inquiries
    def initialize(id)
      @id = id
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
      end
    end

    # nil if there is none.
    def answer(subject, _detail)
      case subject
      when "ruby" then RubyFacts.lines
      end
    rescue StandardError => e
      Log.error("the control plane could not ask Ruby about #{subject}", e)
      nil
    end
  end
end
