# frozen_string_literal: true

require_relative "../app/log"

module Kino
  # The files of the Unix sockets that this process listens on. Programs that remove old files leave these, because they do not become
  # old. The log says when one has been removed nevertheless: nobody can connect to its socket any more, which goes on as if
  # nothing had happened, and no system call gives it another file.
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
