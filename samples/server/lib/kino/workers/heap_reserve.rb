# frozen_string_literal: true

require_relative "../native"

module Kino
  # Adds pages to Ruby's heap if it has too few for all Ractors.
  #
  # A Ractor allocates from pages, one of each size class, that no other Ractor may use until the next collection. With
  # fewer pages than the Ractors need together, Ruby collects to reclaim them, even if they are almost empty. It then
  # finds so much free space in them that it does not grow the heap: 64 workers that wait in turn caused a collection
  # every 10 requests. Added pages remain, because Ruby keeps a number of free ones for every Ractor.
  #
  # Pages are not added from the start: more pages make a collection slower, and few busy workers need few pages.
  #
  # Nothing is done where each Ractor has its own heap: Ractors then do not compete for pages, and GC.count covers only
  # one heap.
  class HeapReserve
    # Pages of each size class: one, and a second of the most used class, so the first full page causes no collection.
    PAGES = [2, 1, 1, 1, 1].freeze
    # More than one collection per so many requests indicates a lack of pages; more pages reduce the number.
    REQUESTS_PER_COLLECTION = 50
    # The number of requests on which the decision is based.
    ENOUGH = 256
    # The size of an Array's header and of an element; an Array that fits into its slot has no other memory.
    ARRAY_HEAD = 16
    ELEMENT = 8

    # Detects, for one worker, collections during a few of its requests. The worker may simply run seldom, so it only
    # asks the supervisor to check. All state here is cheap and local to the worker.
    class Watch
      # Requests between two checks: few at first, because workers that collect most take longest to reach many.
      FIRST_LOOK = 4
      LOOK_EVERY = 64
      SUSPICIOUS = 2
      MOST_QUESTIONS = 8

      def initialize(server)
        @server = server
        @questions = MOST_QUESTIONS
        @between = FIRST_LOOK
        look
      end

      # Called before each request.
      def request
        return unless (@left -= 1).zero?

        before = @collections
        look
        return if @collections - before < SUSPICIOUS || @questions.zero?

        @questions -= 1
        Native.ask_for_room(@server)
      end

      private

      def look
        @left = @between
        @between *= 2 if @between < LOOK_EVERY
        @collections = GC.count
      end
    end

    # The HeapReserve of a server with +ractors+ Ractors, or nil if they do not share a heap. It starts a Ractor and waits
    # for it, so call it before the workers start.
    def self.for(server, ractors)
      new(server, ractors) if shared_heap?
    end

    # In a new Ractor, a shared heap already counts the objects that others have allocated; its own heap would not.
    def self.shared_heap?
      probe = Topology.ractor(GC.stat(:total_allocated_objects), name: "kino heap probe") do |so_far|
        GC.stat(:total_allocated_objects) >= so_far
      end
      probe.respond_to?(:value) ? probe.value : probe.take
    end

    # Used by the server's supervisor.
    def initialize(server, ractors)
      @server = server
      @ractors = ractors
      @made = false
    end

    # Called when a worker has detected collections. Adds pages, once, if all requests since the last call confirm it.
    def asked
      return if @made

      served, collections = Native.stats(@server)[:served], GC.count
      return note(served, collections) unless @served
      return if served - @served < ENOUGH

      @made = (collections - @collections) * REQUESTS_PER_COLLECTION > served - @served
      @made ? make : note(served, collections)
    end

    private

    def note(served, collections)
      @served = served
      @collections = collections
    end

    def make
      size_classes.zip(PAGES) { |size, pages| fill(size, @ractors * (pages || 1)) }
      GC.start
    end

    # The slot size of each class in bytes; empty if Ruby does not expose its size classes.
    def size_classes
      about = GC::INTERNAL_CONSTANTS
      least = about[:BASE_SLOT_SIZE] || about[:RVALUE_SIZE]
      count = about[:HEAP_COUNT] || about[:SIZE_POOL_COUNT]
      return [] unless least && count && about[:HEAP_PAGE_SIZE]

      Array.new(count) { |n| least << n }
    end

    # Fills this number of pages at the same time, and drops the objects on return.
    def fill(size, pages)
      elements = (size - ARRAY_HEAD) / ELEMENT
      Array.new(pages * (GC::INTERNAL_CONSTANTS[:HEAP_PAGE_SIZE] / size)) { Array.new(elements) }
      nil
    end
  end
end
