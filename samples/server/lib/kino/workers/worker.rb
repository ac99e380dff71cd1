# frozen_string_literal: true

require_relative "heap_reserve"
require_relative "../app/log"
require_relative "../native"
require_relative "chunked_body"
require_relative "current_request"
require_relative "request"
require_relative "response"
require_relative "websockets"
require_relative "worker_end"

module Kino
  # The loop of one worker: take a request, call the app, answer; or take an event of a WebSocket, and call its handler.
  # It runs in a Ractor or in a Thread and reads only its arguments and shareable constants; it must not require,
  # autoload or access a class's instance variables.
  module Worker
    # Stands for the slot of a worker that never had one.
    NO_SLOT = -1

    # The reason that #run reports if the thread is killed without an exception.
    ENDED = "its thread was ended (Thread#kill or Thread.exit)"

    # Serves until the server is closed and drained or dismisses this worker, or until an exception other than a StandardError
    # ends it. In each case, and also if it cannot join, Native.leave notifies the server immediately; its
    # supervisor waits for that. `name` is the thread's name until it has joined; then that is the number of its slot, also
    # in `ps -T` and `top -H`. `unit`: see Topology::Spec.
    def self.run(id, app, name, unit, hooks = nil)
      slot = nil
      reason = ENDED
      Thread.current.name = name
      slot = Native.join(id, unit)
      name_thread("kino worker #{slot}")
      hooks&.booted(slot)
      serve(id, slot, app, hooks)
      reason = nil
    rescue Exception => e
      reason = WorkerEnd.pack(e)
      # The supervisor reports a worker that could not join.
      Log.error("worker #{slot} died", e) if slot && !Native.gone?(id)
    ensure
      leave(id, slot, reason)
    end

    def self.name_thread(name)
      Thread.current.name = name
      Native.name_native_thread(name)
    end

    def self.leave(id, slot, reason)
      return Native.leave(id, slot || NO_SLOT, reason) unless Native.gone?(id)
      return unless slot && Native.forked?(id)

      Log.line("a process that a handler forked (pid #{Process.pid}) returned from the handler; it gets no " \
               "response and ends here: end it with exec or exit!")
    rescue ArgumentError
      # The server has just stopped, and does not wait for this worker.
      nil
    end

    # For a worker that could not be created.
    def self.refused(id, error)
      leave(id, nil, WorkerEnd.pack(error))
    end

    def self.serve(id, slot, app, hooks)
      watch = HeapReserve::Watch.new(id) unless Ractor.current == Ractor.main
      current = CurrentRequest.start(id, slot)
      work = Native.take(id, slot)
      while work
        watch&.request # now, because the server may be gone when the app is done
        work = work.instance_of?(Hash) ? exchange(id, slot, app, current.env = work, hooks) : WebSockets.handle(id, slot, work)
      end
    end

    # Handles one request; returns the next one, or an event.
    def self.exchange(id, slot, app, env, hooks)
      hooks&.watch(env)
      status, headers, body = app.call(env)
      return WebSockets.upgrade(id, slot, env, headers, body) if WebSockets.upgrade?(env, status)

      body = ChunkedBody.decoded(headers, body)
      if body.instance_of?(Array)
        Response.complete(id, slot, env, status, headers, body)
      else
        Response.send(id, slot, env, status, headers, body)
      end
    rescue PartialHijack
      Response.send(id, slot, env, status, headers.reject { |name,| name == "rack.hijack" }, headers["rack.hijack"])
    rescue BodyError => e
      # The client disconnected in its body or violated a rule, which the native server has logged: not the app's error.
      Response.failed(id, slot, env, e, e.status) unless Native.gone?(id)
    rescue StandardError => e
      return if Native.gone?(id)

      Log.error("#{Log.request(env)} raised", e)
      hooks&.failed(env, e)
      Response.failed(id, slot, env, e)
    end
  end
end
