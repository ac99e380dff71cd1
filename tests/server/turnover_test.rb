# frozen_string_literal: true

require_relative "support/server_test"
require "kino/processes/turnover"

# The order in which processes are replaced, without processes: they become ready, are due and end in an order that a seed chooses.
class TurnoverTest < ServerTest
  class Fake
    attr_reader :number
    attr_accessor :state

    def initialize(number, state)
      @number = number
      @state = state
    end

    def starting? = state == :starting
    def ready? = state == :ready
    def leaving? = state == :leaving
    def pid = object_id
    def name = "process #{number + 1}"
  end

  # What Crew does with its processes.
  class Crew
    attr_reader :children, :steps, :recycled, :turnover

    # +no_room+: how often the system cannot fork; +crashes+: how often a process crashes, of the steps that it could.
    def initialize(random, count, no_room: 0.05, crashes: 0.2)
      @random = random
      @no_room = no_room
      @crashes = crashes
      @now = 0.0
      @children = Array.new(count) { |number| Fake.new(number, :ready) }
      @due = []
      @recycled = 0
      @steps = []
      leave = ->(child) { child.state = :leaving }
      @turnover = Kino::Processes::Turnover.new(leave, clock: -> { @now }) { |number| fork(number) }
    end

    # Returns whether it has begun.
    def restart
      ready = @children.select(&:ready?)
      return false unless ready.size >= @children.map(&:number).uniq.size && @turnover.restart(ready)

      @steps << "restart"
      true
    end

    def due(child)
      @steps << "due #{child.number}"
      @due << child
      @turnover.due(child)
    end

    # One thing happens to one process.
    def step(dues: true)
      return pass if @random.rand < 0.2

      child = @children.sample(random: @random)
      if child.starting? && @random.rand < 0.7 then become_ready(child)
      elsif child.leaving? then ended(child)
      elsif @random.rand < @crashes then ended(child)
      elsif dues && child.ready? && @random.rand < 0.3 then due(child)
      end
    end

    # Until nothing is left to be done.
    def settle
      step(dues: false) until settled?
    end

    def become_ready(child)
      @steps << "ready #{child.number}"
      child.state = :ready
      @turnover.ready(child)
    end

    def ended(child)
      @steps << "#{child.state} #{child.number} ended"
      @recycled += 1 if child.leaving? && @due.include?(child)
      @children.delete(child)
      @children << Fake.new(child.number, :starting) unless @turnover.ended(child)
    end

    def left(former) = former & @children

    private

    # None is due, and each place has one process, which is ready.
    def settled? = @turnover.next_at.nil? && @children.all?(&:ready?) && left(@due).empty?

    def pass
      @now = [@now + 1, @turnover.next_at || 0].max
      @turnover.follow
    end

    def fork(number)
      @steps << "fork #{number}"
      raise Errno::EAGAIN if @random.rand < @no_room

      Fake.new(number, :starting).tap { |child| @children << child }
    end
  end

  SEEDS = (ENV["SEED"] ? [ENV["SEED"].to_i] : 1..ENV.fetch("SEEDS", 1000).to_i).freeze

  def test_each_place_has_one_process_in_the_end_and_none_that_is_due_whatever_happens_meanwhile
    log = logged do
      SEEDS.each do |seed|
        random = Random.new(seed)
        crew = Crew.new(random, 1 + random.rand(4))
        numbers = crew.children.map(&:number)
        3.times do
          crew.restart if random.rand < 0.7
          random.rand(30).times { crew.step }
          crew.settle
          assert_equal numbers, crew.children.map(&:number).sort, "SEED=#{seed}: #{crew.steps.join(", ")}"
          assert_equal crew.recycled, crew.turnover.recycled, "SEED=#{seed}: #{crew.steps.join(", ")}"
        end
      rescue StandardError => e
        flunk "SEED=#{seed}: #{e.full_message} after #{crew.steps.join(", ")}"
      end
    end
    assert_match(/all processes have been replaced/, log)
    assert_match(/restart: process \d stays as it is/, log)
    assert_match(/process \d has served max_requests, and is replaced by pid \d+$/, log)
    assert_match(/process \d stays until it can be replaced, because its replacement .*; trying again in 10 s$/, log)
  end

  # Without crashes: all that are due and, with a restart, all others, too.
  def test_at_most_one_process_is_there_in_addition
    logged do
      SEEDS.first(100).each do |seed|
        random = Random.new(seed)
        crew = Crew.new(random, 3, no_room: 0, crashes: 0)
        before = crew.children.dup
        crew.due(before[1])
        restarts = random.rand < 0.5
        assert crew.restart if restarts
        crew.due(before[2])
        100.times do
          crew.step(dues: false)
          assert_operator crew.children.size, :<=, 4, "SEED=#{seed}"
          assert_operator crew.children.count(&:ready?), :>=, 2, "SEED=#{seed}"
        end
        crew.settle
        assert_equal restarts ? [] : [before[0]], crew.left(before), "SEED=#{seed}"
        assert_equal 2, crew.turnover.recycled, "SEED=#{seed}"
      end
    end
  end

  def test_a_second_restart_waits_for_the_first
    logged do
      crew = Crew.new(Random.new(1), 2, no_room: 0, crashes: 0)
      assert crew.restart
      refute crew.restart
      crew.settle
      assert crew.restart
    end
  end
end
