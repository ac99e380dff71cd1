# frozen_string_literal: true

require "json"

module Kino
  # What only Ruby knows of itself, for the control plane.
  module RubyFacts
    NANOSECONDS = 1e9
    # Of one backtrace.
    MOST_FRAMES = 200

    # As the native metrics_page reads it: lines of a name and a number.
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

    # As JSON: the Threads of the main Ractor. Ruby tells nothing about those of others.
    def self.backtraces
      threads = Thread.list.map do |thread|
        { name: text(thread.name || ("main" if thread == Thread.main)), thread_id: id_of(thread), status: thread.status,
          backtrace: (thread.backtrace || []).first(MOST_FRAMES).map { |frame| text(frame) } }
      end
      JSON.generate(threads)
    end

    # That of the system, by which a worker's is found.
    def self.id_of(thread)
      thread.native_thread_id if thread.respond_to?(:native_thread_id)
    rescue NotImplementedError
      nil
    end

    def self.text(given) = given&.dup&.force_encoding(Encoding::UTF_8)&.scrub("?")
    private_class_method :id_of, :text
  end
end
