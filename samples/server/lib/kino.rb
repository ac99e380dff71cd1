# frozen_string_literal: true

require_relative "kino/namesake"
Kino::Namesake.refuse

require_relative "kino/version"
require_relative "kino/errors"
require_relative "kino/config/options"
require_relative "kino/native"
require_relative "kino/logger"
require_relative "kino/server"

# A Rack server: native threads handle HTTP, and handlers run in Ractors, or in Threads if the app cannot be shared
# between Ractors. Kino::Server is the entry point.
module Kino
  # How many handlers can compute at once on the CPUs this process may use: scheduler affinity and the
  # control group's quota are respected, so it is correct in a container.
  def self.available_parallelism
    Native.available_parallelism
  end

  # Sends +data+ to the WebSockets and event streams that have subscribed to +channel+, also of other processes if there is an
  # engine, see PubSub; from any Ractor and Thread. Returns how many of this process took it. In UTF-8 it is sent as text,
  # otherwise as binary.
  def self.publish(channel, data)
    Native.publish_message(channel.to_s, data)
  end

  # Sleeps for exactly +seconds+ by the operating system's clock. Other handlers run meanwhile; an
  # interrupt (shutdown, Thread#kill) ends it at once.
  def self.sleep(seconds)
    Native.sleep(seconds)
  end
end
