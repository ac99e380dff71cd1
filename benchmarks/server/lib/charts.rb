# frozen_string_literal: true

require_relative "numbers"
require_relative "svg"

module Bench
  # The three kinds of pictures: bars in panels, points on a logarithmic axis, lines in panels.
  module Charts
    module_function

    BAR = 20
    LEFT = 225

    # +panels+: {"title" => [[label, value, [low, high], color], ...]}; the longest bar is the panel's own.
    def bars(title, panels, unit:)
      columns = panels.size > 1 ? 2 : 1
      rows = panels.each_slice(columns).to_a
      panel_height = panels.values.map(&:size).max * BAR + 46
      width = columns == 1 ? 760 : 1240
      svg = Svg.new(width, rows.size * panel_height + 60, title)
      panels.each_with_index do |(name, bars), index|
        x = 20 + index % columns * (width / columns)
        y = 66 + index / columns * panel_height
        bar_panel(svg, x, y, width / columns - 40, name, bars, unit)
      end
      svg
    end

    def bar_panel(svg, x, y, width, name, bars, unit)
      svg.text(x, y, name, size: 14, weight: 600) if name
      room = width - LEFT - 80
      most = bars.map { |_, value, (_, high)| [value, high].compact.max }.compact.max || 1
      bars.each_with_index do |(label, value, (low, high), color), index|
        middle = y + 22 + index * BAR
        svg.text(x + LEFT - 8, middle + 4, label, anchor: "end", size: 12)
        next svg.text(x + LEFT, middle + 4, "failed", size: 11, fill: Svg::FAINT) unless value

        long = room * value / most
        svg.rect(x + LEFT, middle - 7, [long, 1].max, 14, fill: color, radius: 2)
        svg.line(x + LEFT + room * low / most, middle, x + LEFT + room * high / most, middle, stroke: Svg::INK) if low && low != high
        svg.text(x + LEFT + [long, room * (high || 0) / most].max + 6, middle + 4, "#{Numbers.short(value)}#{unit}", size: 11, fill: Svg::FAINT)
      end
    end

    # +rows+: [[label, {"p50" => value, ...}, color], ...] in microseconds, on one logarithmic axis.
    def percentiles(title, rows, subtitle)
      svg = Svg.new(900, rows.size * 26 + 120, title)
      svg.text(20, 50, subtitle, size: 12, fill: Svg::FAINT)
      values = rows.flat_map { |_, points, _| points.values }.select(&:positive?)
      low, high = 10**Math.log10(values.min).floor, 10**Math.log10(values.max).ceil
      place = ->(value) { LEFT + 20 + (620 * (Math.log10([value, low].max) - Math.log10(low)) / [Math.log10(high) - Math.log10(low), 1].max) }
      bottom = rows.size * 26 + 78
      (Math.log10(low).round..Math.log10(high).round).each do |power|
        svg.line(place.(10**power), 68, place.(10**power), bottom)
        svg.text(place.(10**power), bottom + 18, Numbers.duration(10**power), anchor: "middle", size: 11, fill: Svg::FAINT)
      end
      rows.each_with_index { |row, index| percentile_row(svg, 88 + index * 26, row, place) }
      svg
    end

    def percentile_row(svg, y, row, place)
      label, points, color = row
      svg.text(LEFT, y + 4, label, anchor: "end")
      svg.line(place.(points.values.first), y, place.(points.values.last), y, stroke: color, width: 2)
      points.values.each_with_index { |value, step| svg.dot(place.(value), y, 3 + step, fill: color) }
    end

    # +panels+: {"title" => {label => [[[x, y], ...], color]}}; x in even steps.
    def lines(title, panels, xlabel:)
      columns = [panels.size, 3].min
      panel = columns == 1 ? 760 : 420
      series = panels.values.first
      svg = Svg.new(columns * panel + 20, (panels.size / columns.to_f).ceil * 310 + 80 + 20 * (series.size / (columns * panel / 210).to_f).ceil, title)
      panels.each_with_index do |(name, series), index|
        line_panel(svg, 70 + index % columns * panel, 70 + index / columns * 310, panel - 90, name, series, xlabel)
      end
      legend(svg, series, columns * panel / 210)
      svg
    end

    def line_panel(svg, x, y, width, name, series, xlabel)
      height = 220
      svg.text(x, y, name, size: 14, weight: 600)
      top = y + 18
      steps = series.values.flat_map { |points, _| points.map(&:first) }.uniq.sort
      most = series.values.flat_map { |points, _| points.map(&:last) }.max || 1
      tick = Numbers.step_below(most / 3.0)
      ceiling = (most * 1.02 / tick).ceil * tick
      at = ->(step, value) { [x + (steps.size > 1 ? width * steps.index(step) / (steps.size - 1.0) : width / 2), top + height * (1 - value / ceiling.to_f)] }
      (0..ceiling).step(tick).each do |value|
        svg.line(x, at.(steps.first, value)[1], x + width, at.(steps.first, value)[1])
        svg.text(x - 6, at.(steps.first, value)[1] + 4, Numbers.short(value), anchor: "end", size: 10, fill: Svg::FAINT)
      end
      steps.each { |step| svg.text(at.(step, 0)[0], top + height + 16, step, anchor: "middle", size: 11, fill: Svg::FAINT) }
      svg.text(x + width / 2, top + height + 34, xlabel, anchor: "middle", size: 11, fill: Svg::FAINT)
      series.each_value do |points, color|
        svg.path(points.map { |step, value| at.(step, value) }, stroke: color)
        points.each { |step, value| svg.dot(*at.(step, value), 3, fill: color) }
      end
    end

    def legend(svg, series, columns)
      series.each_with_index do |(label, (_, color)), index|
        x = 40 + index % columns * 210
        y = svg.height - 14 - 20 * ((series.size - 1) / columns - index / columns)
        svg.dot(x, y - 4, 5, fill: color)
        svg.text(x + 12, y, label, size: 11)
      end
    end
  end
end
