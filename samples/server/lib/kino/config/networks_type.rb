# frozen_string_literal: true

require_relative "option_types"

module Kino
  # The type of an option whose value is a list of networks in CIDR notation, addresses, or names for several of them.
  class NetworksType < OptionTypes::List
    NAMES = %w[loopback private].freeze

    def metavar = "NETWORK"

    def accepted = "one network or several, each an address, a CIDR like 10.0.0.0/8, loopback or private"

    def words = NAMES

    private

    def allowed?(value) = !value.empty? && value.all? { |text| NAMES.include?(text) || network?(text) }

    def convert(given)
      super(Symbol === given ? [given] : given) # a BasicObject has no is_a?
    end

    def texts(all)
      super(all.map { |one| Symbol === one ? one.name : one })
    end

    def network?(text)
      return false unless text.match?(%r{\A[0-9A-Fa-f:.]+(/\d{1,3})?\z})

      require "ipaddr"
      IPAddr.new(text)
      true
    rescue ArgumentError # as all errors of IPAddr
      false
    end

    def suggestion(given) = nearest_word(given)
  end
end
