# frozen_string_literal: true

require_relative "../errors"
require_relative "../ractor_audit"

module Kino
  # Decides where handlers run.
  module Mode
    # The mode for +app+, :ractor or :threaded, and the reasons why :auto did not choose :ractor.
    Decision = Struct.new(:mode, :reasons)

    def self.decide(wanted, app)
      case wanted
      when :threaded then Decision.new(:threaded, [])
      when :ractor then demand(app)
      else choose(app)
      end
    end

    # Refuses only apps that Ruby itself would refuse: handlers may never touch the class-level state.
    def self.demand(app)
      return Decision.new(:ractor, []) if Ractor.shareable?(app)

      raise UnshareableAppError,
            "the app cannot run in :ractor mode, because Ractors cannot share it:\n" \
            "#{list(RactorAudit.of_app(app))}\n" \
            "Freeze what it is made of (Ractor.make_shareable(app) freezes all of it), or run it with mode :threaded."
    end

    # Stricter than :ractor: an app that would fail at its first request runs in Threads instead.
    def self.choose(app)
      reasons = RactorAudit.of_app(app)
      reasons.empty? && Ractor.shareable?(app) ? Decision.new(:ractor, []) : Decision.new(:threaded, reasons)
    end

    def self.list(reasons)
      reasons.map { |reason| "  * #{reason}" }.join("\n")
    end
  end
end
