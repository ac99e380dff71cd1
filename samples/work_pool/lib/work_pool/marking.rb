# frozen_string_literal: true

module WorkPool
  # Controls full marking by Ruby's collector. A collection stops every Ractor, and full marking takes longest but frees
  # little, because a map keeps its results. While Ractors work, only young objects are marked, unless the heap grows
  # beyond a bound. Nothing is changed where Ruby does not support this (before 3.4), or where each Ractor has its own
  # heap, so a collection does not stop the others.
  module Marking
    # Pages of 64 KiB. The heap may grow to twice its size plus this many pages.
    ROOM = 1024

    module_function

    # Yields the maximum number of heap pages, or nil if there is none.
    def young_only
      return yield(nil) unless GC.respond_to?(:config) && GC.config[:rgengc_allow_full_mark] && shared_heap?

      begin
        limit = 2 * pages + ROOM
        GC.config(rgengc_allow_full_mark: false)
        yield limit
      ensure
        # Another map may still run; it continues with full marking.
        GC.config(rgengc_allow_full_mark: true)
      end
    end

    # Called in a worker between two inputs.
    def keep_to(limit)
      GC.config(rgengc_allow_full_mark: true) if limit && pages > limit
    end

    # Whether Ractors share a heap: then a new Ractor's heap already counts the objects that others have allocated.
    def shared_heap?
      return @shared_heap if defined?(@shared_heap)

      probe = Ractors.silently do
        Ractor.new(GC.stat(:total_allocated_objects)) { |so_far| GC.stat(:total_allocated_objects) >= so_far }
      end
      @shared_heap = Ractors.value_of(probe)
    end

    def pages
      GC.stat(:heap_allocated_pages)
    end
  end
end
