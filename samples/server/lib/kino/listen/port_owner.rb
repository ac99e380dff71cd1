# frozen_string_literal: true

module Kino
  # Finds the process that listens on an address, if the system exposes it (Linux's /proc, and only
  # processes that this user may inspect).
  module PortOwner
    LISTENING = "0A"

    # "pid 1234 (puma)", or nil if unknown.
    def self.describe(address)
      inodes = address.unix? ? unix_inodes(address.path) : tcp_inodes(address.port)
      return if inodes.empty?

      pid = holder(inodes.map { |inode| "socket:[#{inode}]" }) or return
      name = read("/proc/#{pid}/comm").strip
      name.empty? ? "pid #{pid}" : "pid #{pid} (#{name})"
    end

    # Sockets listening on +port+ on any address: one of them causes the conflict.
    def self.tcp_inodes(port)
      suffix = format(":%04X", port)
      %w[/proc/net/tcp /proc/net/tcp6].flat_map do |table|
        read(table).lines.drop(1).filter_map do |line|
          fields = line.split
          fields[9] if fields[3] == LISTENING && fields[1].end_with?(suffix)
        end
      end
    end

    def self.unix_inodes(path)
      read("/proc/net/unix").lines.filter_map do |line|
        fields = line.split
        fields[6] if fields[7] == path
      end
    end

    def self.holder(links)
      Dir.glob("/proc/[0-9]*/fd/*").each do |file|
        return file[%r{/proc/(\d+)/}, 1] if links.include?(File.readlink(file))
      rescue SystemCallError
        next
      end
      nil
    end

    def self.read(path)
      File.read(path)
    rescue SystemCallError
      ""
    end
  end
end
