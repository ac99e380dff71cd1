# frozen_string_literal: true

require "kino/errors"

require_relative "main_ractor"
require_relative "probe"

module KinoRails
  # Changes to Rails and its libraries without which they cannot serve from Ractors: an allow list. Each repair is a module
  # with
  #
  # UPSTREAM::  the change that ends it or, where there is none yet, the discussion or the file that has to change
  # needed?     whether what is loaded needs it, found by trying
  # apply       which changes only what its name says
  module Repairs
    # Makes the value of an instance variable of a class or module shareable.
    def self.share_variable(owner, name) = Ractor.make_shareable(owner.instance_variable_get(name))

    def self.apply(repairs) = repairs.each { |repair| repair.apply if repair.needed? }

    # When the gem is loaded: before the files of Action Pack are.
    def self.early = apply([DefinedMethods])

    # Before Rails loads classes with callbacks.
    def self.before_classes = apply([CallbackConditions])

    # When the application has been loaded.
    def self.before_sharing
      apply([LoggerDevice, Translations, RememberedValues, ParameterWrapping, MessageFormats, OpenSSLMethods, TempfileOperators,
             Sanitizers])
    end

    # ractorize! has frozen the application.
    def self.after_sharing = apply([ClassState, PlainConstants, ClassVariables, DatabaseHooks])
  end
end

Dir[File.join(__dir__, "repairs", "*.rb")].each { |file| require file }
