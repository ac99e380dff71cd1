# frozen_string_literal: true

require "kino/rails" # for Bundler, which requires the name of the gem
