# frozen_string_literal: true

require "rails/railtie"

module KinoRails
  # config.kino.ractors: whether the server kino runs this application in Ractors. Nothing changes in other programs, such
  # as a console or a job runner, except that Rails makes its blocks shareable.
  class Railtie < Rails::Railtie
    config.kino = ActiveSupport::OrderedOptions.new
    config.kino.ractors = ENV["RAILS_IN_RACTORS"] == "1" # set by kino --rails
    # The request that a Ractor must answer before the server listens.
    config.kino.warm_up = "/up"

    # As soon as config/environments has been read, and before classes with callbacks are loaded.
    initializer "kino.ractors", after: :load_environment_config, before: :load_environment_hook, group: :all do |app|
      if app.config.kino.ractors && KinoRails.ruby_ready? && app.respond_to?(:ractorize!)
        Unshareable.watch
        Repairs.before_classes
      end
    end
  end
end
