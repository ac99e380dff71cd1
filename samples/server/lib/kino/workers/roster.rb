# frozen_string_literal: true

module Kino
  # The specs of a server, and which of them each worker belongs to. A worker is known by its slot and a generation, so news of
  # one never concerns its successor in the same slot.
  class Roster
    # +units+: how many numbers specs can have.
    def initialize(specs, units)
      @specs = specs.dup
      @free_numbers = (0...units).to_a - specs.map(&:number)
      @former = []
      @present = {}
      @aside = {}
    end

    # The number of workers that there should be.
    def wanted = @specs.size

    # The number of workers that serve.
    def size = @present.size

    # Whether there is no worker, not even one that was put aside.
    def empty? = @present.empty? && @aside.empty?

    def joined(worker, spec)
      @present[worker] = spec
    end

    # The spec of a worker that is stuck and no longer counts; nil if it has left.
    def put_aside(worker)
      spec = @present.delete(worker)
      @aside[worker] = spec if spec
    end

    # Returns the spec of a worker that has left, and whether it had been put aside.
    def left(worker)
      return [@aside.delete(worker), true] if @aside.key?(worker)

      [@present.delete(worker), false]
    end

    # Returns the spec of this number and, once for each of its workers, one that takes its place; nil if no number is free.
    def replace(number)
      return if @free_numbers.empty?

      @former << (former = @specs.find { |spec| spec.number == number })
      successor = former.successor(@free_numbers.shift)
      @specs.map! { |spec| spec.equal?(former) ? successor : spec }
      [former, @specs.select { |spec| spec.equal?(successor) }]
    end

    # Dismisses a spec that was replaced, and frees its number, unless it has a worker left. Returns whether it did.
    def retire(spec)
      return false if workers.each_value.any? { |one| one.equal?(spec) }

      spec.dismiss
      @former.delete(spec)
      @free_numbers.push(spec.number)
      true
    end

    # All workers, each with its spec.
    def workers = @present.merge(@aside)

    # Call when all workers have left.
    def dismiss = (@specs + @former).each(&:dismiss)
  end
end
