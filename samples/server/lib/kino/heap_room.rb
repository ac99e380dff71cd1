# frozen_string_literal: true

module Kino
  # Gives Ruby's heap so many pages that every Ractor can have its own.
  #
  # A Ractor allocates from pages which no other Ractor may use until the next collection, one of each size class. When
  # there are fewer than the Ractors together want, Ruby collects to get them back, however empty they are, and finds
  # so much free in them that it does not let the heap grow: 64 workers that wait in turn had a collection every 10
  # requests. Pages that exist stay, because Ruby keeps a number of free ones for every Ractor.
  module HeapRoom
    # Of each size class: one to begin with, and one of the most used, so that the first full one brings no collection.
    PAGES = [2, 1, 1, 1, 1].freeze
    # What an Array has beside its elements, and what an element takes; one that fits into its slot has no memory else.
    ARRAY_HEAD = 16
    ELEMENT = 8

    module_function

    # Makes room for +ractors+ of them, that exist already. Where Ruby does not tell how its heap is divided, nothing.
    def make(ractors)
      was_disabled = GC.disable
      size_classes.zip(PAGES) { |size, pages| fill(size, ractors * (pages || 1)) }
      GC.enable
      GC.start
    ensure
      GC.disable if was_disabled
    end

    # Bytes of a slot in each.
    def size_classes
      about = GC::INTERNAL_CONSTANTS
      least = about[:BASE_SLOT_SIZE] || about[:RVALUE_SIZE]
      count = about[:HEAP_COUNT] || about[:SIZE_POOL_COUNT]
      return [] unless least && count && about[:HEAP_PAGE_SIZE]

      Array.new(count) { |n| least << n }
    end

    # So many pages at the same time, forgotten on return.
    def fill(size, pages)
      elements = (size - ARRAY_HEAD) / ELEMENT
      Array.new(pages * (GC::INTERNAL_CONSTANTS[:HEAP_PAGE_SIZE] / size)) { Array.new(elements) }
      nil
    end
  end
end
