# frozen_string_literal: true

require "waits"
require "timeout"

# Every wait of wait.hpp and gvl.hpp, set up so only an interrupt ends it, and every kind of interrupt. Module functions
# without state, so they also run in other Ractors.
module Waiting
  NAMES = %w[pop pop_for push push_for answer answer_for park park_for condition condition_for sleep without_gvl].each(&:freeze).freeze
  class Ended < StandardError
  end
  HOUR = 3_600_000

  def self.for_ever(name)
    case name
    when "pop" then Waits::Channel.make(1).pop
    when "pop_for" then Waits::Channel.make(1).pop_for(HOUR)
    when "push" then full.push(2)
    when "push_for" then full.push_for(2, HOUR)
    when "answer" then Waits::Answer.make.wait
    when "answer_for" then Waits::Answer.make.wait_for(HOUR)
    when "park" then Waits::Parker.make.park
    when "park_for" then Waits::Parker.make.park_for(HOUR)
    when "condition" then Waits::Level.make.await(1)
    when "condition_for" then Waits::Level.make.await_for(1, HOUR)
    when "sleep" then Waits.sleep_for(HOUR)
    when "without_gvl" then Waits.until_unblocked
    end
  end

  def self.full
    Waits::Channel.make(1).tap { |channel| channel.push(1) }
  end

  # A thread that waits; `ended` records how its wait ends.
  def self.thread(name, ended = [])
    waiting = Thread.new do
      for_ever(name)
      ended << :returned
    rescue Ended => e
      ended << e.message
    ensure
      ended << :ensure
    end
    Thread.pass until waiting.status == "sleep"
    waiting
  end

  def self.kill(name)
    ended = []
    thread(name, ended).kill.join
    ended
  end

  def self.raise_in(name)
    ended = []
    waiting = thread(name, ended)
    waiting.raise(Ended, "raised")
    waiting.join
    ended
  end

  def self.time_out(name)
    Timeout.timeout(0.02) { for_ever(name) }
  rescue Timeout::Error
    [:timeout]
  end

  # Interrupts a thread before its wait, which must then end at once.
  def self.raise_before(name)
    ended = []
    go = Waits::Channel.make(1)
    waiting = Thread.new do
      Thread.handle_interrupt(Ended => :on_blocking) do
        go.push(1)
        Thread.pass until Thread.pending_interrupt?
        for_ever(name)
      end
    rescue Ended => e
      ended << e.message
    ensure
      ended << :ensure
    end
    go.pop
    waiting.raise(Ended, "raised before")
    waiting.join
    ended
  end

  # A masked interrupt wakes the waiting thread, which continues to wait; it is raised at the end of the mask.
  def self.raise_masked
    ended = []
    channel = Waits::Channel.make(1)
    waiting = Thread.new do
      Thread.handle_interrupt(Ended => :never) { ended << channel.pop }
    rescue Ended => e
      ended << e.message
    end
    Thread.pass until waiting.status == "sleep"
    waiting.raise(Ended, "raised")
    20.times { waiting.wakeup }
    channel.push(7)
    waiting.join
    ended
  end

  def self.timeout_works?
    Timeout.timeout(60) { true }
  end
end
