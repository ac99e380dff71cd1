# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # A process of the operating system, as an actor.
  #
  #   bc = Actors::Port.start("bc", "-q")
  #   bc.call(:write, "2 + 3\n")      # returns when the process has taken it: a slow process slows its writers down
  #   Actors.receive                  # => [:line, bc, "5"]
  #   bc.call(:close)                 # the end of its input
  #   Actors.receive                  # => [:exit, bc, 0]
  #
  # The lines that the process writes go to the owner, the actor that has started it; while the owner's mailbox is full, the
  # process waits. [:exit, port, status] is the last of these messages; status is a number, or :signaled. The process is killed
  # when the port ends, for whatever reason, or its owner does.
  class Port < GenServer
    # `owner:` gets the lines. With `chunks: true` it gets [:data, port, bytes] instead, as they come. `env:` and `chdir:` are as
    # for Process.spawn. Other options are those of GenServer.start.
    def self.start(*command, owner: Actors.current, **options) = open(command, owner, options, false)
    def self.start_link(*command, owner: Actors.current, **options) = open(command, owner, options, true)

    def self.open(command, owner, options, link)
      own = { label: command.first, isolation: :thread, **options.slice(*OPTIONS) }
      ServerLoop.start(self, [command, owner], options.except(*OPTIONS).merge(own), link: link)
    end
    private_class_method :open

    def init(command, owner, chunks: false, env: {}, chdir: Dir.pwd)
      input, @input = IO.pipe
      @output, output = IO.pipe
      @pid = Process.spawn(env, *command, in: input, out: output, chdir: chdir, pgroup: true)
      [input, output].each(&:close)
      @input.sync = true
      @writes = Thread::Queue.new # of texts; nil ends the input
      @pending = [] # calls with a text that is not written yet
      @owner = owner
      start_threads(Actors.current, chunks)
      Actors.monitor(owner)
    end

    def handle_call(request, from)
      case request
      in [:write, text]
        @pending << from
        @writes << text
        [:noreply]
      in :close
        @writes << nil
        [:reply, :ok]
      in :pid then [:reply, @pid]
      end
    end

    def handle_info(message)
      case message
      in [:written, result] then @pending.shift&.then { |from| reply(from, result) }
      in [:ended, status]
        @pending.each { |from| reply(from, :closed) }
        [:stop, status == 0 ? :normal : [:exit_status, status]]
      in [:DOWN, _, _, _] then [:stop, :owner_down]
      else nil
      end
    end

    private

    def start_threads(port, chunks)
      ended = Process.detach(@pid)
      reader = Thread.new { read(port, chunks, ended) }
      writer = Thread.new { write(port) }
      files = [@input, @output]
      pid = @pid
      # Also if the port is killed.
      Actors.spawn(isolation: :thread, label: "guard of #{port.label}") do
        monitor(port)
        receive { |message| message in [:DOWN, _, _, _] }
        [reader, writer].each(&:kill)
        Process.kill(:KILL, -pid) if ended.alive?
      rescue Errno::ESRCH
        nil # it has just ended
      ensure
        files.each(&:close)
      end
    end

    def read(port, chunks, ended)
      if chunks
        while (bytes = @output.read_nonblock(65_536, exception: false))
          bytes == :wait_readable ? IO.select([@output]) : @owner << [:data, port, bytes]
        end
      else
        @output.each_line(chomp: true) { |line| @owner << [:line, port, line] }
      end
      code = ended.value.exitstatus || :signaled
      @owner << [:exit, port, code]
      port << [:ended, code]
    end

    def write(port)
      while (text = @writes.pop)
        result = begin
          @input.write(text)
          :ok
        rescue Errno::EPIPE, IOError
          :closed # the process does not read any more
        end
        port << [:written, result]
      end
      @input.close
    end
  end
end
