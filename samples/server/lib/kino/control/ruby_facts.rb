# frozen_string_literal: true

module Kino
  # What only Ruby knows of itself, as the native metrics_page reads it: lines of a name and a number.
  module RubyFacts
    NANOSECONDS = 1e9

    def self.lines
      counts = GC.stat
      facts = {
        "kino_gc_runs_total" => counts[:count],
        "kino_gc_major_runs_total" => counts[:major_gc_count],
        "kino_gc_seconds_total" => GC.total_time / NANOSECONDS,
        "kino_gc_allocated_objects_total" => counts[:total_allocated_objects],
        "kino_gc_heap_live_slots" => counts[:heap_live_slots],
        "kino_ruby_threads" => Thread.list.size
      }
      facts.compact.map { |name, value| "#{name} #{value}\n" }.join
    end
  end
end
