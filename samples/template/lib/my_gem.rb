# frozen_string_literal: true

require_relative "my_gem/version"
require "my_gem/my_gem"
