# frozen_string_literal: true

module KinoRails
  module Repairs
    # A logger's file or stream has a lock, which Ractors cannot share, and Rails' own shareable logger waits for the main
    # Ractor with each line. Rails.logger and those behind it keep everything except the device: a Kino::Logger::Device of
    # the same destination, which any Ractor writes to without waiting.
    module LoggerDevice
      UPSTREAM = "https://github.com/rails/rails/blob/main/activesupport/lib/active_support/ractors/logger.rb"

      def self.needed? = loggers.any? { |logger| replaceable?(device(logger)) }

      def self.apply
        require "kino"
        loggers.each do |logger|
          old = device(logger)
          logger.instance_variable_set(:@logdev, Kino::Logger::Device.new(destination(old))) if replaceable?(old)
        end
      end

      def self.loggers
        all = Rails.logger.respond_to?(:broadcasts) ? Rails.logger.broadcasts : [Rails.logger]
        all.grep(::Logger)
      end

      def self.device(logger) = logger.instance_variable_get(:@logdev)

      def self.replaceable?(device) = !device.nil? && !Ractor.shareable?(device)

      def self.destination(device) = device.filename || device.dev
      private_class_method :loggers, :device, :replaceable?, :destination
    end
  end
end
