# frozen_string_literal: true

module WorkPool
  # Whether Ruby's collector may mark everything. A collection stops every Ractor, and one that marks what has been
  # alive for long stops them longest, for little: what a map keeps is its results. So it marks only what is young while
  # Ractors work, unless the heap grows past a bound. Where Ruby cannot be told (before 3.4) it does as it likes, and so
  # it does where each Ractor has a heap of its own: a collection stops no other one.
  module Marking
    # 64 KiB each. The heap may become twice as large as it was, and this much larger.
    ROOM = 1024

    module_function

    # Yields how many pages the heap may have, or nil if there is nothing to watch.
    def young_only
      return yield(nil) unless GC.respond_to?(:config) && GC.config[:rgengc_allow_full_mark] && shared_heap?

      begin
        limit = 2 * pages + ROOM
        GC.config(rgengc_allow_full_mark: false)
        yield limit
      ensure
        # Another map may still run; it just goes on with what is the rule.
        GC.config(rgengc_allow_full_mark: true)
      end
    end

    # In a worker, between two inputs.
    def keep_to(limit)
      GC.config(rgengc_allow_full_mark: true) if limit && pages > limit
    end

    # Whether Ractors have one heap: a new one finds what the others have allocated counted in its own, or it does not.
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
