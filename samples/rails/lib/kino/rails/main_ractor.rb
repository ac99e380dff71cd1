# frozen_string_literal: true

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
      Thread.new { loop { work << PORT.receive } }.name = "kino main"
      threads.times { |n| Thread.new { loop { answer(*work.pop, around) } }.name = "kino main #{n}" }
    end

    def self.answer(block, reply, around)
      outcome = begin
        [true, around ? around.call(&block) : block.call]
      rescue Exception => e # the caller's Ractor raises it
        [false, e]
      end
      deliver(reply, *outcome)
    end

    # Sends the result or the error to the caller, unless its Ractor has ended. If that cannot be copied, sends an error that
    # says so.
    def self.deliver(reply, success, result)
      reply << [success, result]
    rescue Ractor::ClosedError
      nil
    rescue StandardError => e
      copied = "a block of Kino.main returned #{result.class}, which cannot be copied to another Ractor: #{e.message}"
      reply << [false, Error.new(success ? copied : "#{result.class}: #{result.message}")]
    end

    def self.run(block)
      raise Error, "Kino.main needs config.kino.ractors = true" unless const_defined?(:PORT, false)

      reply = Ractor::Port.new
      PORT << [block, reply]
      success, result = reply.receive
      reply.close
      success ? result : raise(result)
    end
    private_class_method :answer, :deliver
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
