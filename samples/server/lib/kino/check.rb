# frozen_string_literal: true

require_relative "check/report"
require_relative "check/warm_up"
require_relative "ractor_audit"

module Kino
  # Whether an app can run in Ractors, and if not, why, with a fix for each reason. Changes nothing in the app, and needs
  # no native code. `kino --check` prints it.
  #
  #   report = Kino::Check.report(app, path: "/up")
  #   report.ractors?               # => false
  #   report.findings.first.fix     # => "Freeze it where it is defined: ..."
  #   puts report                   # or report.to_h, report.to_json
  module Check
    # With a +path+, a forked process also sends one GET request for it to the app in a Ractor, for at most +timeout+
    # seconds.
    def self.report(app, path: nil, timeout: WarmUp::TIMEOUT_SECONDS)
      audit = RactorAudit.in_app(app)
      shareable = RactorAudit::Ask.shareable?(app)
      Report.new(audit, shareable: shareable, warm_up: path && WarmUp.of(app, path, shareable: shareable, timeout: timeout))
    end
  end
end
