# frozen_string_literal: true

require_relative "../app/log"

module Kino
  # Watches the files of the Unix sockets that this process listens on. It renews their times, so that programs that remove old files
  # leave them. If a file is removed nevertheless, it logs that: clients cannot connect any more, the listening socket reports no
  # error, and no system call can give it a new file.
  class SocketWatch
    # How often to #look, and how often files become new.
    SECONDS = 10
    FRESH_SECONDS = 3600

    # Nil without files. +files+: UnixSockets.
    def self.of(files) = (new(files) unless files.empty?)

    def initialize(files)
      @files = files
      @gone = []
      @fresh_until = now + FRESH_SECONDS
    end

    def look
      gone = @files.reject(&:there?)
      (gone - @gone).each do |file|
        Log.line("clients cannot connect to unix://#{file.path} any more, because its file has been removed or replaced; stop the server and " \
                 "start it again (a restart with USR2 keeps the socket)")
      end
      @gone = gone
      freshen if now >= @fresh_until
    end

    private

    def freshen
      (@files - @gone).each(&:freshen)
      @fresh_until = now + FRESH_SECONDS
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
