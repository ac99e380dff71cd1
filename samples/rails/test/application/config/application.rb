# frozen_string_literal: true

# The application of rails_test.rb: what most applications do, without a database unless sqlite3 is installed.
ENV.fetch("EXAMPLE_CHECKOUTS", "").split(":").each { |checkout| $LOAD_PATH.unshift(*Dir["#{checkout}/{,*/}lib"]) }
require "logger"
require "rails"
require "action_controller/railtie"
require "action_view/railtie"
require "active_model/railtie"
begin
  require "sqlite3"
  require "active_record/railtie"
rescue LoadError
  nil # Kino.main is tried without it, too
end
require "kino/rails"

module Example
  class Application < Rails::Application
    config.root = File.expand_path("..", __dir__)
    config.load_defaults Rails::VERSION::STRING.to_f
    config.secret_key_base = "x" * 64
    config.hosts.clear
    config.time_zone = "Berlin"
    config.logger = Logger.new($stdout, level: :info, formatter: ->(_, _, _, text) { "#{text}\n" })
    class_eval(File.read(ENV.fetch("EXAMPLE_SETTINGS")), ENV.fetch("EXAMPLE_SETTINGS")) # those of the README
  end
end
