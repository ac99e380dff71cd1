# frozen_string_literal: true

module Bench
  # Formats and summarises numbers for reports.
  module Numbers
    module_function

    def whole(number)
      number.round.to_s.reverse.scan(/\d{1,3}/).join(",").reverse
    end

    def short(number)
      return format(number < 10 && number % 1 != 0 ? "%.1f" : "%.0f", number) if number < 1000

      number < 100_000 ? format("%.1fk", number / 1000.0).sub(".0k", "k") : format("%.0fk", number / 1000.0)
    end

    # A quantile of sorted values, interpolated if necessary; nil if there are none.
    def quantile(values, share)
      return if values.empty?

      place = share * (values.size - 1)
      low, high = values.values_at(place.floor, place.ceil)
      low == high ? low : low + (high - low) * (place - place.floor)
    end

    # The largest of 1, 2, 5, 10, 20, ... that is not above +number+.
    def step_below(number)
      power = 10**Math.log10([number, 1].max).floor
      [5, 2, 1].map { |factor| factor * power }.find { |step| step <= number } || 1
    end

    # From microseconds.
    def duration(microseconds)
      case microseconds
      when 0...1000 then format("%.0f µs", microseconds)
      when 1000...1_000_000 then format("%.4g ms", microseconds / 1000.0)
      else format("%.3g s", microseconds / 1e6)
      end
    end

    def percent(share) = format("%.0f %%", 100 * share)
  end
end
