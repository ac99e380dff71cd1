# frozen_string_literal: true

require_relative "option_types"

module Kino
  # A number of processes, or :auto.
  class ProcessesType < OptionTypes::Count
    AUTO = :auto
    MOST = 256

    def initialize
      super(range: 1..MOST)
    end

    def range_text = "#{super} or auto"

    def words = ["auto"]

    private

    def allowed?(value) = value == AUTO || super

    def convert(given)
      String === given && given.casecmp?("auto") || given == AUTO ? AUTO : super
    end
  end
end
