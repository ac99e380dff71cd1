# frozen_string_literal: true

require_relative "../check"
require_relative "../errors"

module Kino
  # Decides where handlers run.
  module Mode
    # The mode for +app+, :ractor or :threaded, and what the log says about it: why :auto did not choose :ractor, or
    # which requests can fail in :ractor mode.
    # +after_boot+ is called as that hook is, or nil.
    Decision = Struct.new(:mode, :remark, :after_boot)
    # Enough to get through middleware.
    FEW_OBJECTS = 1000

    # Gems that prepare the apps of a framework for Ractors: each responds to #decide(wanted, app) with a Decision, or nil for
    # an app that it leaves to the others. In the main Ractor.
    def self.adapters = @adapters ||= []

    # +check+ is the command that says more about this app.
    def self.decide(wanted, app, check: "kino --check")
      adapters.each { |adapter| adapter.decide(wanted, app)&.then { |decision| return decision } }
      case wanted
      when :threaded then Decision.new(:threaded)
      when :ractor then require_ractors(app, check)
      else choose(app, check)
      end
    end

    # Refuses only apps that Ruby itself would refuse. Class-level state may never be used; a request that does use it
    # gets 500, so the log names that state at the start.
    def self.require_ractors(app, check)
      if RactorAudit::Ask.shareable?(app)
        doubts = RactorAudit.in_app(app).one_of_each_kind
        return Decision.new(:ractor, doubts.empty? ? nil : doubtful(doubts, check))
      end

      report = Check.report(app)
      raise UnshareableAppError.new("the app cannot run in :ractor mode, because Ractors cannot share it.\n" \
                                    "#{report.reasons.join("\n")}\n" \
                                    "Or run it with mode :threaded.", report)
    end

    # Stricter than :ractor: an app that would fail at its first request runs in Threads instead. The log has one line
    # about it; the check has the rest.
    def self.choose(app, check)
      rails = rails_of(app) if Class === app || !RactorAudit::Ask.shareable?(app)
      return Decision.new(:threaded, "Rails #{rails} cannot run in Ractors; running in Threads (`#{check}` lists the reasons)") if rails

      report = Check.report(app)
      return Decision.new(:ractor) if report.ractors?

      Decision.new(:threaded, "the app cannot run in Ractors, so it runs in Threads: #{report.summary}; `#{check}` lists all " \
                              "with fixes, mode :threaded removes this line")
    end

    # The version of Rails if the app is a Rails application or its class, maybe with middleware around it. It has thousands
    # of objects that cannot be shared.
    def self.rails_of(app)
      application = RactorAudit::Constants.find([:"", :Rails, :Application], Object)&.value or return
      objects = RactorAudit::Objects.new(RactorAudit.new, most: FEW_OBJECTS)
      objects.visit(app, "the app")
      return unless [app, *objects.seen].any? { |object| application === object || Class === object && object < application }

      RactorAudit::Constants.find([:"", :Rails, :VERSION, :STRING], Object)&.value
    end

    def self.doubtful(doubts, check)
      "mode :ractor is set, but the app uses state that only the main Ractor can use; a request that reaches it " \
        "gets 500:\n#{doubts.map { |doubt| "  * #{doubt}" }.join("\n")}\n  `#{check}` lists all; mode :threaded serves the app as it is"
    end
  end
end
