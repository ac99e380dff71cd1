# frozen_string_literal: true

require_relative "../errors"
require_relative "../ractor_audit"

module Kino
  # Decides where handlers run.
  module Mode
    # The mode for +app+, :ractor or :threaded, and what the log says about it: why :auto did not choose :ractor, or
    # which requests can fail in :ractor mode.
    Decision = Struct.new(:mode, :remark)

    def self.decide(wanted, app)
      case wanted
      when :threaded then Decision.new(:threaded)
      when :ractor then require_ractors(app)
      else choose(app)
      end
    end

    # Refuses only apps that Ruby itself would refuse. Class-level state may never be used; a request that does use it
    # gets 500, so the log names that state at the start.
    def self.require_ractors(app)
      if Ractor.shareable?(app)
        doubts = RactorAudit.in_app(app).one_of_each_kind
        return Decision.new(:ractor, doubts.empty? ? nil : doubtful(doubts))
      end

      raise UnshareableAppError,
            "the app cannot run in :ractor mode, because Ractors cannot share it:\n" \
            "#{list(RactorAudit.of_app(app))}\n" \
            "Freeze its objects (Ractor.make_shareable(app) freezes all of them), or run it with mode :threaded."
    end

    # Stricter than :ractor: an app that would fail at its first request runs in Threads instead.
    def self.choose(app)
      reasons = RactorAudit.of_app(app)
      return Decision.new(:ractor) if reasons.empty? && Ractor.shareable?(app)

      Decision.new(:threaded, "the app cannot run in Ractors, so it runs in Threads (mode :threaded):\n#{list(reasons)}\n" \
                              "  `kino --check` lists details; setting mode :threaded removes this message")
    end

    def self.doubtful(doubts)
      "mode :ractor is set, but the app uses state that only the main Ractor can use; a request that reaches it " \
        "gets 500:\n#{list(doubts)}\n  `kino --check` lists all; mode :threaded serves the app as it is"
    end

    def self.list(reasons)
      reasons.map { |reason| "  * #{reason}" }.join("\n")
    end
  end
end
