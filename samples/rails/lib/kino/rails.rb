# frozen_string_literal: true

require "kino/app/mode"

# Runs a Rails application in Ractors, where Rails, Ruby and the application can.
#
#   gem "kino-rails"                 # Gemfile
#   config.kino.ractors = true       # config/application.rb
#
# KinoRails::Preparation has the order of steps.
require_relative "rails/main_ractor"
require_relative "rails/preparation"
require_relative "rails/railtie"

Kino::Mode.adapters << KinoRails::Preparation
KinoRails::Repairs.early if KinoRails.ruby_ready?
