# frozen_string_literal: true

require "kino/app/mode"
require "kino/check/warm_up"

require_relative "obstacles"
require_relative "repairs"

module KinoRails
  # Decides whether the Rails application in +app+ runs in Ractors, and prepares it for them:
  #
  # 1. obstacles: what its owner can change
  # 2. a trial in a forked process: repairs, Rails::Application#ractorize!, and one request in a Ractor
  # 3. the same, without the request, in this process
  #
  # Up to the trial nothing changes in this process, so an application that cannot run in Ractors runs in Threads as before.
  module Preparation
    TRIAL_SECONDS = 60

    # An adapter of Kino::Mode. Nil: the application has not asked for Ractors.
    def self.decide(wanted, app)
      application = application_of(wanted) or return
      reasons = Obstacles.of(application)
      reasons << trial(app, application) if reasons.empty?
      reasons.compact!
      return refuse(wanted, reasons) unless reasons.empty?

      prepare(app, application)
      Kino::Mode::Decision.new(:ractor, database_remark, -> { start_main_ractor(application) })
    end

    def self.application_of(wanted)
      application = Rails.application
      application if application && wanted != :threaded && application.config.kino.ractors
    end

    def self.refuse(wanted, reasons)
      text = reasons.map { |reason| "  * #{reason}" }.join("\n")
      remark = "Rails runs in Threads, because it cannot run in Ractors:\n#{text}"
      return Kino::Mode::Decision.new(:threaded, remark) unless wanted == :ractor

      raise Kino::ConfigError, "this Rails application cannot run in Ractors:\n#{text}\n  Or run it with mode :threaded."
    end

    def self.database_remark
      "Rails runs in Ractors; queries run in the main one, from blocks of Kino.main" if defined?(ActiveRecord::Base)
    end

    # A sentence, or nil if a Ractor has answered.
    def self.trial(app, application)
      result = Kino::Check::WarmUp.of(app, application.config.kino.warm_up, shareable: true, timeout: TRIAL_SECONDS) do
        prepare(app, application)
        start_main_ractor(application)
      end
      result.to_s unless result.ok?
    end

    def self.prepare(app, application)
      experimental = Warning[:experimental]
      Warning[:experimental] = false
      Repairs.before_sharing
      application.ractorize!
      silence_deprecations(application) { Repairs.after_sharing }
      Ractor.make_shareable(app)
      Kino::MainRactor.open
    ensure
      Warning[:experimental] = experimental
    end

    # Of constants that are only looked at.
    def self.silence_deprecations(application, &block)
      application.respond_to?(:deprecators) ? application.deprecators.silence(&block) : yield
    end

    # As many Threads as Active Record has connections for.
    def self.start_main_ractor(application)
      threads = defined?(ActiveRecord::Base) ? ActiveRecord::Base.connection_pool.size : 1
      executor = application.executor
      Kino::MainRactor.start(threads, ->(&block) { executor.wrap(&block) })
    end
    private_class_method :application_of, :refuse, :database_remark, :trial, :prepare, :silence_deprecations,
                         :start_main_ractor
  end
end
