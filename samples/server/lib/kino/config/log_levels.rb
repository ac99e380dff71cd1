# frozen_string_literal: true

module Kino
  # The levels of Ruby's loggers, in the order of their numbers.
  LOG_LEVELS = %w[debug info warn error fatal unknown].freeze
end
