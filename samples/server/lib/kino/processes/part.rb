# frozen_string_literal: true

require_relative "../control/client"
require_relative "../listen/address"
require_relative "child"
require_relative "records"

module Kino
  module Processes
    # What one of several processes needs to serve: its number from 0, its place in what all know of each other's connections, the
    # addresses with their sockets, the pipes to the master (Child::Ends), and the path of the Unix socket at which it answers for
    # the statistics of all, or nil. Once the master has said that all stop, +last_to_accept+: no process accepts from the sockets later.
    Part = Struct.new(:number, :place, :addresses, :ends, :control_path, :last_to_accept, keyword_init: true) do
      # Tells the master that this process has served max_requests.
      def due = ends.tell(Child::DUE)

      # Leaves what this process has counted to the control process, at its end, as long as its control plane answers.
      def leave_counts
        return unless control_path

        own = ControlClient.new(Address.new(path: control_path), "")
        records = Records.new(File.dirname(control_path))
        Records::KINDS.each do |kind|
          answer = own.get("/#{kind}")
          records.leave(Process.pid, kind, answer.body) if answer.is_a?(Net::HTTPSuccess)
        end
      rescue ControlClient::Unreachable
        nil # what it has told before has to do
      end
    end
  end
end
