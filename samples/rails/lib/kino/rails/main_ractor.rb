# frozen_string_literal: true

require "kino/app/error_report"
require "kino/errors"

module Kino
  # Runs blocks of other Ractors in the main Ractor, on a few Threads: a block that waits does not delay the next one while
  # another Thread is free. A block that runs there can use everything, such as Active Record.
  module MainRactor
    # Accepts blocks from now on; for the main Ractor. They wait for #start, which each forked process calls for itself.
    def self.open
      const_set(:PORT, Ractor::Port.new) unless const_defined?(:PORT, false)
    end

    # Starts the Threads. +around+, with #call and a block, surrounds every block.
    def self.start(threads, around = nil)
      open
      work = Thread::Queue.new
      threads.times { serve(work, around) }
      Thread.new { loop { (message = PORT.receive) ? work << message : serve(work, around) } }.name = "kino main"
    end

    # A Thread that runs blocks. One of them may end it, with Thread.exit; the receiving Thread then starts another one.
    def self.serve(work, around)
      Thread.new do
        loop { answer(*work.pop, around) }
      ensure
        PORT << nil
      end.name = "kino main block"
    end

    # The caller gets an answer whatever the block does.
    def self.answer(block, reply, around)
      outcome = [false, Error.new("a block of Kino.main has ended its Thread")]
      outcome = begin
        [true, around ? around.call(&block) : block.call]
      rescue Exception => e # the caller's Ractor raises it
        [false, e]
      end
    ensure
      deliver(reply, *outcome)
    end

    # Sends the result or the error to the caller, unless that has ended or given up. If it cannot be copied, sends an error that
    # says so.
    def self.deliver(reply, success, result)
      reply << [success, result]
    rescue Ractor::ClosedError
      nil
    rescue StandardError, SystemStackError, NoMemoryError => e
      refuse(reply, success, result, e)
    end

    def self.refuse(reply, success, result, error)
      name = Kernel.instance_method(:class).bind_call(result) # a BasicObject has none
      copied = "a block of Kino.main returned #{name}, which cannot be copied to another Ractor: #{ErrorReport.message_of(error)}"
      reply << [false, Error.new(success ? copied : "#{name}: #{ErrorReport.message_of(result)}")]
    rescue Ractor::ClosedError
      nil
    end

    def self.run(block)
      raise Error, "Kino.main needs config.kino.ractors = true" unless const_defined?(:PORT, false)

      reply = Ractor::Port.new
      PORT << [block, reply]
      success, result = reply.receive
      success ? result : raise(result)
    ensure
      reply&.close # The caller may have been interrupted, by a Timeout perhaps.
    end
    private_class_method :serve, :answer, :deliver, :refuse
  end

  # Runs the block in the main Ractor and returns a copy of its result; what it raises is raised here. In the main Ractor, and
  # therefore in :threaded mode, it is just called.
  #
  #   id = params[:id].to_i
  #   name = Kino.main { User.find(id).name }
  #
  # In another Ractor the block has no self, and what it captures must be shareable: numbers, symbols, frozen strings.
  def self.main(&block)
    return yield if Ractor.current == Ractor.main

    MainRactor.run(Ractor.shareable_proc(&block))
  end
end
