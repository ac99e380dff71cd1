# frozen_string_literal: true

# A Rails application with /plaintext, /json and /page.

require "logger"
require "rails"
require "action_controller/railtie"
require "action_view/railtie"
if ENV["RAILS_IN_RACTORS"] # set by kino --rails
  $LOAD_PATH.unshift(File.expand_path("../../../samples/rails/lib", __dir__))
  require "kino/rails"
end

class RailsHello < Rails::Application
  config.root = __dir__
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = true
  config.enable_reloading = false
  config.yjit = defined?(RubyVM::YJIT) && RubyVM::YJIT.enabled? # as the benchmark wants it
  config.cache_store = :null_store
  config.public_file_server.enabled = false
  config.consider_all_requests_local = false
  config.secret_key_base = "not a secret: it protects nothing in a benchmark"
  config.hosts.clear
  config.logger = Logger.new(File::NULL)
  config.log_level = :fatal
  routes.append do
    get "/plaintext", to: "texts#show"
    get "/json", to: "texts#document"
    get "/page", to: "pages#show"
    get "/up", to: "texts#show" # kino-rails asks for it at the start
  end
end

RailsHello.initialize!
run RailsHello
