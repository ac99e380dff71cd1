# frozen_string_literal: true

require_relative "heap_room"
require_relative "log"
require_relative "native"
require_relative "response"

module Kino
  # The loop of one worker: take a request, call the app, answer. It runs in a Ractor or in a Thread and
  # reads nothing but its arguments and shareable constants; nothing here may require, autoload or touch
  # a class's instance variables.
  module Worker
    # In place of a slot: a worker that never had one.
    NO_SLOT = -1

    # What #run reports when the thread is ended without an exception to show for it.
    ENDED = "its thread was ended (Thread#kill or Thread.exit)"

    # Serves until the server is closed and drained, or until something that is not a StandardError ends
    # this worker. Either way, and also when it cannot join, the server hears of it from Native.leave, at once:
    # its supervisor waits for that. `name` is what `ps -T` and `top -H` call its thread: given before the join,
    # which gives it a native thread of its own.
    def self.run(id, app, name)
      slot = nil
      reason = ENDED
      Thread.current.name = name
      slot = Native.join(id)
      serve(id, slot, app)
      reason = nil
    rescue Exception => e
      reason = "#{e.class}: #{Log.message_of(e)}"
      # One that could not join is the supervisor's to report.
      Log.error("worker #{slot} died", e) if slot && !Native.gone?(id)
    ensure
      leave(id, slot, reason)
    end

    def self.leave(id, slot, reason)
      return Native.leave(id, slot || NO_SLOT, reason) unless Native.gone?(id)
      return unless slot && Native.forked?(id)

      Log.line("a process that a handler forked (pid #{Process.pid}) came back from the handler; it is not " \
               "answered for and ends here: let it end with exec or exit!")
    rescue ArgumentError
      # The server has stopped just now, and nobody waits for this worker.
      nil
    end

    # For a worker that could not even be created.
    def self.refused(id, error)
      leave(id, nil, "#{error.class}: #{Log.message_of(error)}")
    end

    def self.serve(id, slot, app)
      watch = HeapRoom::Watch.new(id) unless Ractor.current == Ractor.main
      env = Native.take(id, slot)
      while env
        watch&.request # now, because the server may be gone when the app is done
        env = exchange(id, slot, app, env)
      end
    end

    # One request and its answer; returns the next request.
    def self.exchange(id, slot, app, env)
      status, headers, body = app.call(env)
      if body.instance_of?(Array)
        Response.complete(id, slot, env, status, headers, body)
      else
        Response.send(id, slot, env, status, headers, body)
      end
    rescue BodyError => e
      # The client left in its body, or broke a rule that the native side has logged: its error, not the app's.
      Response.failed(id, slot, env, e, e.status) unless Native.gone?(id)
    rescue StandardError => e
      return if Native.gone?(id)

      Log.error("#{Log.request(env)} raised", e)
      Response.failed(id, slot, env, e)
    end
  end
end
