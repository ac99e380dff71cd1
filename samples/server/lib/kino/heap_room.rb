# frozen_string_literal: true

module Kino
  # Gives Ruby's heap so many pages that every Ractor can have its own.
  #
  # A Ractor allocates from pages which no other Ractor may use until the next collection, one of each size class. When
  # there are fewer than the Ractors together want, Ruby collects to get them back, however empty they are, and finds
  # so much free in them that it does not let the heap grow: 64 workers that wait in turn had a collection every 10
  # requests. Pages that exist stay, because Ruby keeps a number of free ones for every Ractor.
  module HeapRoom
    # Beside one page of each size class, so that the first full one does not bring a collection.
    SPARE_PAGES = 1

    module_function

    # Makes room for +ractors+ of them, that exist already. Where Ruby does not tell how its heap is divided, nothing.
    def make(ractors)
      objects = ractors * pages_per_ractor * GC::INTERNAL_CONSTANTS.fetch(:HEAP_PAGE_OBJ_LIMIT, 0)
      was_disabled = GC.disable
      fill(objects)
      GC.enable
      GC.start
    ensure
      GC.disable if was_disabled
    end

    def pages_per_ractor
      size_classes = GC::INTERNAL_CONSTANTS[:HEAP_COUNT] || GC::INTERNAL_CONSTANTS[:SIZE_POOL_COUNT] || 1
      size_classes + SPARE_PAGES
    end

    # All at the same time, and forgotten on return: pages without any object serve every size class.
    def fill(objects)
      Array.new(objects) { Object.new }
      nil
    end
  end
end
