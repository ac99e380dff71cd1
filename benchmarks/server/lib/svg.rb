# frozen_string_literal: true

module Bench
  # A minimal SVG writer: text, lines and boxes.
  class Svg
    INK = "#1f2430"
    FAINT = "#8a90a0"
    GRID = "#e6e8ee"
    # kino's colours first; the others in an order that makes neighbours distinguishable.
    COLORS = %w[#c2185b #1565c0 #2e7d32 #ef6c00 #6a1b9a #00838f #9e9d24 #5d4037 #546e7a #d81b60 #3949ab #43a047 #fb8c00 #8e24aa #00acc1 #c0ca33].freeze

    attr_reader :width, :height

    def initialize(width, height, title)
      @width = width
      @height = height
      @parts = []
      rect(0, 0, width, height, fill: "#ffffff")
      text(20, 30, title, size: 17, weight: 600)
    end

    def text(x, y, string, size: 12, anchor: "start", fill: INK, weight: 400)
      @parts << format('<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s" font-weight="%d">%s</text>',
                       x, y, size, anchor, fill, weight, escape(string.to_s))
    end

    def rect(x, y, width, height, fill:, radius: 0)
      @parts << format('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%d" fill="%s"/>', x, y, width, height, radius, fill)
    end

    def line(x1, y1, x2, y2, stroke: GRID, width: 1)
      @parts << format('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f"/>', x1, y1, x2, y2, stroke, width)
    end

    def path(points, stroke:, width: 2)
      @parts << format('<polyline points="%s" fill="none" stroke="%s" stroke-width="%.1f" stroke-linejoin="round"/>',
                       points.map { |x, y| format("%.1f,%.1f", x, y) }.join(" "), stroke, width)
    end

    def dot(x, y, radius, fill:)
      @parts << format('<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s"/>', x, y, radius, fill)
    end

    def to_s
      <<~SVG
        <svg xmlns="http://www.w3.org/2000/svg" width="#{width}" height="#{height}" viewBox="0 0 #{width} #{height}" font-family="system-ui, 'DejaVu Sans', sans-serif">
        #{@parts.join("\n")}
        </svg>
      SVG
    end

    private

    def escape(string) = string.gsub("&", "&amp;").gsub("<", "&lt;").gsub(">", "&gt;")
  end
end
