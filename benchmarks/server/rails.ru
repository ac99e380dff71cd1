# frozen_string_literal: true

require "logger"
require "rails"
require "action_controller/railtie"

class RailsHello < Rails::Application
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = true
  config.secret_key_base = "not a secret: it protects nothing in a benchmark"
  config.hosts.clear
  config.logger = Logger.new(File::NULL)
  config.log_level = :fatal
  routes.append { get "/plaintext", to: "hello#show" }
end

class HelloController < ActionController::API
  def show
    render plain: "Hello, World!"
  end
end

RailsHello.initialize!
run RailsHello
