# frozen_string_literal: true

require "fileutils"
require "securerandom"
require "socket"

require_relative "../app/log"
require_relative "../config/named_file"
require_relative "../errors"
require_relative "../listen/unix_socket"

module Kino
  module PubSub
    # The engine for several processes of one machine: each has a Unix socket in the same directory, and sends what it publishes
    # to every other one it finds there. No process is needed by the others, and a new one is found with the next message. A socket
    # that a program has removed, perhaps because it is old, is made again; connections last, so no message is lost meanwhile between
    # processes that have one.
    #
    # The directory belongs to one user: it is created with mode 0700, and one that others may write to is refused, since a user
    # that can create a socket there can publish and listen.
    #
    # A frame is a byte for the kind, two lengths of 32 bits in network order, the channel, and the data.
    class Unix
      # Its name: the pid and what no other program would choose. Other files of the directory are not touched.
      SOCKET = /\A\d+-\h{16}\.sock\z/.freeze
      KINDS = { "t" => Encoding::UTF_8, "b" => Encoding::BINARY }.freeze
      HEAD = "a1NN"
      HEAD_SIZE = 9
      LONGEST_CHANNEL = 64 << 10
      LONGEST_DATA = 64 << 20
      # How many seconds a process may take nothing before it misses messages, and how many it then misses them.
      PATIENCE = 1.0
      PAUSE = 5.0
      # Seconds between two looks at whether its socket is still there.
      LOOK = 1.0
      # Seconds until it accepts connections again when the system has no room for them.
      ROOM_PAUSE = 0.1
      # sun_path.
      LONGEST_PATH = 107

      def initialize(directory)
        @directory = directory
      end

      def start(&receive)
        prepare_directory
        @receive = receive
        @peers = {}
        @slow = {}
        @readers = []
        @stopping = false
        @path = File.join(@directory, "#{Process.pid}-#{SecureRandom.hex(8)}.sock")
        listen
        @thread = Thread.new { accept }
        @thread.name = "kino pubsub unix"
      end

      # Raises if a process could not be reached, after all others have been.
      def publish(channel, data)
        frame = frame_of(channel, data)
        found = paths
        missed = (found | @peers.keys).reject { |path| send_to(path, frame) }
        @slow.keep_if { |path, _| found.include?(path) }
        raise Error, "#{missed.size} process(es) in #{@directory} take no messages" if missed.any?
      end

      def stop
        @stopping = true
        # Before its files, which it would make again.
        [@thread, *@readers].compact.each(&:kill).each { |thread| thread.join(1) }
        [@path, @path && "#{@path}.new"].compact.each { |path| FileUtils.rm_f(path) }
        @server&.close
        @peers&.each_value(&:close)
        @peers = {}
      end

      private

      def prepare_directory
        status = create_directory
        if status.uid != Process.euid || (status.mode & 0o022).positive?
          raise ConfigError, "pubsub unix://#{@directory}: the directory must belong to the user of the server, and others must not " \
                             "be able to write to it (chmod 700)"
        end
        return if File.join(@directory, "4294967295-#{"0" * 16}.sock.new").bytesize <= LONGEST_PATH

        raise ConfigError, "pubsub unix://#{@directory}: the path is too long for Unix sockets; use a shorter one"
      end

      def create_directory
        FileUtils.mkdir_p(@directory, mode: 0o700)
        File.stat(@directory)
      rescue SystemCallError => e
        raise ConfigError, "pubsub unix://#{@directory}: cannot use the directory: #{NamedFile.reason(e)}"
      end

      # It gets its final name when it listens, so a process that finds that name can connect.
      def listen
        FileUtils.rm_f("#{@path}.new")
        server = UNIXServer.new("#{@path}.new")
        server.listen(128)
        File.rename("#{@path}.new", @path)
        @file = UnixSocket.new(@path)
        @server = server
      end

      # Those of other processes.
      def paths
        Dir.children(@directory).grep(SOCKET).map { |name| File.join(@directory, name) } - [@path]
      rescue Errno::ENOENT # It has been removed; there are still connections.
        []
      end

      def frame_of(channel, data)
        kind = KINDS.key(data.encoding) || "b"
        raise Error, "a message for other processes is longer than #{LONGEST_DATA} bytes" if data.bytesize > LONGEST_DATA
        raise Error, "a channel for other processes is longer than #{LONGEST_CHANNEL} bytes" if channel.bytesize > LONGEST_CHANNEL

        [kind, channel.bytesize, data.bytesize].pack(HEAD) << channel.b << data.b
      end

      # Whether the process got it, or is gone.
      def send_to(path, frame)
        return false if @slow.fetch(path, 0) > now

        socket = @peers[path] ||= connect(path)
        left = frame
        until left.empty?
          sent = socket.write_nonblock(left, exception: false)
          if sent == :wait_writable
            # A part of a frame must be the last of its connection.
            return give_up(path) unless IO.select(nil, [socket], nil, PATIENCE)
          else
            left = left.byteslice(sent..)
          end
        end
        true
      rescue Errno::ECONNREFUSED # Its process has been killed.
        FileUtils.rm_f(path)
        true
      rescue Errno::ENOENT, Errno::EPIPE, Errno::ECONNRESET
        forget(path)
        true
      rescue SystemCallError # It accepts no connection, or is no socket of a process.
        give_up(path)
      end

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      def connect(path)
        socket = Socket.new(:UNIX, :STREAM)
        socket.connect_nonblock(Socket.sockaddr_un(path))
        socket
      rescue SystemCallError
        socket&.close
        raise
      end

      def give_up(path)
        forget(path)
        @slow[path] = now + PAUSE
        false
      end

      def forget(path)
        @peers.delete(path)&.close
        true
      end

      def accept
        crowded = false
        loop do
          next look unless @server.wait_readable(LOOK)

          problem = admit
          Log.line("pubsub: messages of another process do not arrive for now: #{problem.message}") if problem && !crowded
          sleep(ROOM_PAUSE) if problem
          crowded = !problem.nil?
        end
      rescue IOError => e
        Log.line("pubsub: this process receives no messages of others any more: #{e.message}") unless @stopping
      end

      # Makes the socket again if it has been removed: processes that begin now would not find this one.
      def look
        return if @file.there?

        prepare_directory
        old = @server
        listen
        take_over(old)
        Log.line("pubsub: something has removed the socket of this process from #{@directory}; there is another one now")
        @blocked = false
      rescue SystemCallError, ThreadError, ConfigError => e
        Log.line("pubsub: the socket of this process has been removed, and cannot be made again for now: #{e.message}") unless @blocked
        @blocked = true
      end

      # Those that were connected when the file was removed.
      def take_over(server)
        serve(server.accept) while server.wait_readable(0)
        server.close
      end

      def serve(client)
        @readers.select!(&:alive?)
        @readers << Thread.new { read(client) }
      end

      # Takes a connection that waits. Returns the error if the system has no room for its descriptor or its Thread.
      def admit
        client = @server.accept_nonblock(exception: false)
        return if client == :wait_readable

        serve(client)
        nil
      rescue SystemCallError, ThreadError => e
        client&.close
        e
      end

      # Until the other side has ended, or sends what is no frame.
      def read(client)
        while (head = client.read(HEAD_SIZE)) && head.bytesize == HEAD_SIZE
          kind, channel_size, data_size = head.unpack(HEAD)
          encoding = KINDS[kind]
          unless encoding && channel_size <= LONGEST_CHANNEL && data_size <= LONGEST_DATA
            Log.line("pubsub: another process sends what is not a message; its connection is closed")
            break
          end
          channel = client.read(channel_size).to_s
          data = client.read(data_size).to_s
          break if channel.bytesize < channel_size || data.bytesize < data_size

          @receive.call(channel.force_encoding(Encoding::UTF_8), data.force_encoding(encoding))
        end
      rescue IOError, SystemCallError
        nil
      ensure
        client.close
      end
    end
  end
end
