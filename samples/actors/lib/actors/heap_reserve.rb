# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Adds pages to Ruby's heap before the workers of shared actors start.
  #
  # Up to Ruby 4.0, a Ractor allocates from pages that no other Ractor may use until the next collection. A small heap has too few
  # for all Ractors: Ruby then collects every few dozen starts of actors, finds much free space in the pages of others, and does
  # not grow. Nothing is done where each Ractor has its own heap.
  module HeapReserve
    # Of each size class: of the smallest there are most, for references and calls. 10 MB together, if pages have 64 KiB.
    PAGES = [96, 32, 32, 4, 4].freeze
    # The size of an Array's header and of an element; an Array that fits into its slot has no other memory.
    ARRAY_HEAD = 16
    ELEMENT = 8

    module_function

    def add
      return if GC.stress # each allocation would be a collection of a larger heap

      sizes = size_classes
      return if sizes.empty? || !shared_heap?

      sizes.zip(PAGES) { |size, pages| fill(size, pages) if pages }
      GC.start
    end

    # In a new Ractor, a shared heap already counts the objects that others have allocated; its own heap would not.
    def shared_heap?
      Runtime.silently { Ractor.new(GC.stat(:total_allocated_objects)) { |so_far| GC.stat(:total_allocated_objects) >= so_far } }.value
    end

    # The slot size of each class in bytes; empty if Ruby does not expose its size classes.
    def size_classes
      about = GC::INTERNAL_CONSTANTS
      least = about[:BASE_SLOT_SIZE] || about[:RVALUE_SIZE]
      count = about[:HEAP_COUNT] || about[:SIZE_POOL_COUNT]
      return [] unless least && count && about[:HEAP_PAGE_SIZE]

      Array.new(count) { |number| least << number }
    end

    # Fills this number of pages at the same time, and drops the objects on return.
    def fill(size, pages)
      elements = (size - ARRAY_HEAD) / ELEMENT
      Array.new(pages * (GC::INTERNAL_CONSTANTS[:HEAP_PAGE_SIZE] / size)) { Array.new(elements) }
      nil
    end
  end
  private_constant :HeapReserve
end
