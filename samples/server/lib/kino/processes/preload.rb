# frozen_string_literal: true

module Kino
  module Processes
    # What the master process does once before the first fork, when the app is loaded: processes share the memory that none
    # of them writes to.
    module Preload
      # Ruby 3.1's compaction can damage Hashes.
      FIRST_WITH_COMPACTION = "3.2"

      # Collects garbage and moves objects together, so that later collections write to few of the shared pages.
      def self.settle_memory
        return Process.warmup if Process.respond_to?(:warmup)

        GC.start
        GC.compact if RUBY_VERSION >= FIRST_WITH_COMPACTION && GC.respond_to?(:compact)
      rescue NotImplementedError
        nil # no compaction on this system
      end

      # A sentence about Threads that the app has started, or nil: a forked process does not have them.
      def self.remark
        others = Thread.list - [Thread.current]
        return if others.empty?

        names = others.first(5).map { |thread| thread.name || thread.inspect[/\S+:\d+/] || "unnamed" }
        "the app started #{others.size} Thread#{"s" unless others.size == 1} while it was loaded (#{names.join(", ")}); the processes " \
          "that answer requests do not have them: start them in after_fork"
      end
    end
  end
end
