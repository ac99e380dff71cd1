# frozen_string_literal: true

require_relative "support/server_test"
require "kino/processes/phased_restart"

# The order of a phased restart, without processes: they become ready and end in an order that a seed chooses.
class PhasedRestartTest < ServerTest
  Fake = Struct.new(:number, :state) do
    def starting? = state == :starting
    def ready? = state == :ready
    def leaving? = state == :leaving
    def pid = object_id

    # Two of the same number and state are not the same.
    def ==(other) = equal?(other)
  end

  # What Crew does with its processes.
  class Crew
    attr_reader :children, :steps

    # +no_room+: how often the system cannot fork.
    def initialize(random, count, no_room: 0.05)
      @random = random
      @no_room = no_room
      @children = Array.new(count) { |number| Fake.new(number, :ready) }
      @steps = []
    end

    def restart
      @steps << "restart"
      @before = @children.dup
      leave = ->(child) { child.state = :leaving }
      @phases = Kino::Processes::PhasedRestart.new(@children, leave) { |number| fork(number) }
    end

    # One thing happens to one process.
    def step
      child = @children.sample(random: @random)
      return become_ready(child) if child.starting? && @random.rand < 0.7

      ended(child) if child.leaving? || @random.rand < 0.3
    end

    def over? = @phases.over?

    def settled? = over? && @children.all?(&:ready?)

    def left_of_the_old = @before & @children

    private

    def fork(number)
      @steps << "fork #{number}"
      raise Errno::EAGAIN if @random.rand < @no_room

      Fake.new(number, :starting).tap { |child| @children << child }
    end

    def become_ready(child)
      @steps << "ready #{child.number}"
      child.state = :ready
      @phases.ready(child)
    end

    def ended(child)
      @steps << "#{child.state} #{child.number} ended"
      @children.delete_if { |one| one.equal?(child) }
      @children << Fake.new(child.number, :starting) unless @phases.ended(child)
    end
  end

  SEEDS = (ENV["SEED"] ? [ENV["SEED"].to_i] : 1..ENV.fetch("SEEDS", 1000).to_i).freeze

  def test_each_place_has_one_process_in_the_end_whatever_happens_meanwhile
    log = logged do
      SEEDS.each do |seed|
        random = Random.new(seed)
        crew = Crew.new(random, 1 + random.rand(4))
        numbers = crew.children.map(&:number)
        2.times do
          crew.restart
          crew.step until crew.settled?
          assert_equal numbers, crew.children.map(&:number).sort, "SEED=#{seed}: #{crew.steps.join(", ")}"
        end
      rescue StandardError => e
        flunk "SEED=#{seed}: #{e.full_message} after #{crew.steps.join(", ")}"
      end
    end
    assert_match(/all processes have been replaced/, log)
    assert_match(/stays as it is/, log)
  end

  def test_without_crashes_none_of_the_old_ones_is_left
    logged do
      crew = Crew.new(Random.new(1), 3, no_room: 0)
      crew.restart
      until crew.settled?
        assert_operator crew.children.size, :<=, 4
        child = crew.children.find { |one| one.starting? || one.leaving? }
        crew.send(child.starting? ? :become_ready : :ended, child)
      end
      assert_empty crew.left_of_the_old
    end
  end
end
