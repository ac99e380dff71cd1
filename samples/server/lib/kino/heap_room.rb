# frozen_string_literal: true

require_relative "native"

module Kino
  # Gives Ruby's heap so many pages that every Ractor can have its own, once that is what it lacks.
  #
  # A Ractor allocates from pages which no other Ractor may use until the next collection, one of each size class. When
  # there are fewer than the Ractors together want, Ruby collects to get them back, however empty they are, and finds
  # so much free in them that it does not let the heap grow: 64 workers that wait in turn had a collection every 10
  # requests. Pages that exist stay, because Ruby keeps a number of free ones for every Ractor.
  #
  # Not from the start: the more pages, the longer a collection lasts, and where few workers are busy, few pages do.
  #
  # Not where each Ractor has a heap of its own: there is no page that two of them want, and GC.count tells of one heap.
  class HeapRoom
    # Of each size class: one to begin with, and one of the most used, so that the first full one brings no collection.
    PAGES = [2, 1, 1, 1, 1].freeze
    # More collections than one for so many requests are for pages, or will be fewer the more pages there are.
    REQUESTS_PER_COLLECTION = 50
    # Requests to judge by.
    ENOUGH = 256
    # What an Array has beside its elements, and what an element takes; one that fits into its slot has no memory else.
    ARRAY_HEAD = 16
    ELEMENT = 8

    # What one worker notices: that there were collections while it served a few requests. That may be because it is
    # seldom its turn, so it only asks. Everything here is cheap, and the worker's own.
    class Watch
      # Requests between two looks: few at first, because those that collect most take longest.
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

      # Before each request.
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

    # Of the server for which +ractors+ Ractors work, or nil if they share no heap. Waits for a Ractor that it starts,
    # so call it before the workers come.
    def self.for(server, ractors)
      new(server, ractors) if shared_heap?
    end

    # A new Ractor finds what the others have allocated counted in its heap, or a heap where little happened yet.
    def self.shared_heap?
      probe = Crew.ractor(GC.stat(:total_allocated_objects), name: "kino heap probe") do |so_far|
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

    # A worker noticed something. Makes room, once, if all requests since it was last asked say the same.
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

    # Bytes of a slot in each; none where Ruby does not tell how its heap is divided.
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
