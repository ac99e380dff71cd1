# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # Things to do at a time, in the order of the times; those of the same time in the order of `add`.
  class Timetable
    Entry = Struct.new(:time, :number, :item)

    def initialize
      @entries = [] # the next one is the last
      @number = 0
    end

    def empty? = @entries.empty?
    def size = @entries.size

    # Returns an entry for `remove`.
    def add(time, item)
      entry = Entry.new(time, @number += 1, item)
      @entries.insert(index_of(entry), entry)
      entry
    end

    # Returns whether it was in the table.
    def remove(entry)
      index = index_of(entry)
      return false unless @entries[index].equal?(entry)

      @entries.delete_at(index)
      true
    end

    # When the next one is due; nil if there is none.
    def next_time
      @entries.last&.time
    end

    # Removes and returns the next item if it is due at `now`, else nil.
    def take_due(now)
      @entries.pop.item if @entries.last && @entries.last.time <= now
    end

    private

    # The first index whose entry is not later.
    def index_of(entry)
      @entries.bsearch_index { |each| each.time < entry.time || (each.time == entry.time && each.number <= entry.number) } || @entries.size
    end
  end
end
