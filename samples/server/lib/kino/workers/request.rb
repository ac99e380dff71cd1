# frozen_string_literal: true

require_relative "../app/log"
require_relative "../native"

module Kino
  # env["kino.request"]: what a handler can ask and say about its request. Its methods may be called from any Thread of the
  # handler's Ractor, also after the request has ended. (extend_deadline, cancelled?, ended?, queue_time and wait are native.)
  class Request
    # Calls the block once if the request is cancelled while its handler works on it; see #cancelled?. The block runs in a
    # Thread of its own, in this Ractor, beside the handler; at once if the request has already been cancelled. Returns
    # whether it may still be called: false after the end of the request.
    def on_cancel(&block)
      raise ArgumentError, "on_cancel needs a block" unless block

      cancelled = cancelled? # also after the end, so that is asked afterwards
      return false if ended?

      watcher = Thread.new do
        Thread.current.report_on_exception = false
        block.call if cancelled || wait
      rescue Exception => e
        Log.error("the block of on_cancel (#{block.source_location&.join(":")}) raised", e)
      end
      watcher.name = "kino on_cancel"
      true
    end
  end
end
