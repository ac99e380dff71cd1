# frozen_string_literal: true

require_relative "../listen/listeners"
require_relative "../native"

module Kino
  module Processes
    # Listening sockets that the master process opens and its processes share: a connection that waits in one is accepted by
    # whichever process comes first, and survives the end of any of them.
    class Sockets
      # Binds +wanted+, addresses, except those that have a socket already; +option+ chooses other addresses, +reuse_port+ is that
      # option. Raises BindError.
      def initialize(wanted, option: "--port", reuse_port: false)
        # Only to bind as the servers of the processes would; it never starts, so it has no threads.
        id = Native.create({ binds: wanted.map(&:to_native), reuse_port: reuse_port })
        @listeners = Listeners.new(wanted, option: option) { Native.listen(id) }
        bound = @listeners.open
        @sockets = @listeners.sockets
        @addresses = bound.zip(@sockets).map { |address, socket| address.with(socket, removes_file: false) }
      ensure
        Native.stop(id) if id
      end

      # Each with its socket.
      attr_reader :addresses

      # The sockets, IOs that belong to this object.
      def to_a = @sockets

      # In a process that has sockets of its own, or does not accept.
      def close = @sockets.each(&:close)

      # See Listeners.
      def files = @listeners.files

      # Another program serves the addresses now.
      def leave_files = @listeners.leave_files

      def remove_files = @listeners.remove_files
    end
  end
end
