# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Kino
  # A bounded queue between Ractors and Threads, with the methods of Thread::SizedQueue.
  #
  #   JOBS = Kino::Channel.new(100)
  #
  #   workers = Array.new(4) do
  #     Ractor.new { JOBS.each { |path| puts File.size(path) } }   # until the channel is closed and empty
  #   end
  #   Dir["*.rb"].each { |path| JOBS << path.freeze }              # waits while the channel is full
  #   JOBS.close
  #
  # * What is pushed must be shareable (Ractor.shareable?), or TypeError is raised. Objects are passed as they are: the
  #   receiver gets the same object. A channel created with `copy: true` passes a deep, frozen copy of an unshareable
  #   object.
  # * Objects of one sender arrive in its order. Each is received once.
  # * A wait takes no CPU time. Thread#kill, Thread#raise, Timeout and signals end it, and lose no object.
  # * A channel belongs to its process: in a forked child, push and pop of an inherited one raise RuntimeError.
  # * An object that nothing else refers to is collected with the channel, also if it refers to the channel.
  class Channel
    # A channel that holds at most `capacity` objects.
    def self.new(capacity, copy: false)
      create(capacity, copy)
    end
    private_class_method :create

    # Adds an object, and returns the channel. Waits while the channel is full: at most `timeout` seconds, and then
    # returns nil; with `non_block`, not at all, and then raises ThreadError. Raises ClosedQueueError if the channel is
    # closed, also while it waits.
    def push(object, non_block = false, timeout: nil)
      give(object, non_block, timeout)
    end

    # Adds an object, and returns the channel; waits while the channel is full.
    def <<(object)
      give(object, false, nil)
    end

    # Removes the next object, and returns it. Waits while the channel is empty: at most `timeout` seconds, and then
    # returns nil; with `non_block`, not at all, and then raises ThreadError. Returns nil if the channel is closed and
    # empty.
    def pop(non_block = false, timeout: nil)
      take(non_block, timeout)
    end

    # Calls the block with each object until the channel is closed and empty. Without a block, returns an Enumerator.
    def each(&block)
      block ? take_all(&block) : to_enum
    end

    # Number of objects in the channel. Other threads may have changed it on return.
    alias length size
    # Maximum number of objects.
    alias max capacity

    def empty?
      size.zero?
    end

    def inspect
      "#<#{self.class} #{size} of #{capacity}#{" closed" if closed?}>"
    end

    private :give, :take, :take_all
  end
end
