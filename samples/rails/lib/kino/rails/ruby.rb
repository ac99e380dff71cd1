# frozen_string_literal: true

module KinoRails
  # Whether Ruby can make blocks shareable and has ports between Ractors, as Ruby 4.0.
  def self.ruby_ready?
    Ractor.respond_to?(:shareable_proc) && !defined?(Ractor::Port).nil?
  end
end
