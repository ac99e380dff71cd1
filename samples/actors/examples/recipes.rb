# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Small actors to copy: a pool of workers, a rate limiter, publish and subscribe.
#
#   ruby recipes.rb

require "actors"

module Recipes
  # Lends workers to callers, in the order of their requests. A worker comes back with `give`, or when its caller ends; a worker
  # that fails is replaced.
  #
  #   Recipes::Pool.with(pool) { |worker| worker.call(:work) }
  class Pool < Actors::GenServer
    def self.with(pool, timeout: 5)
      worker = pool.call(:take, Actors.current, timeout: timeout)
      yield worker
    ensure
      pool.cast(:give, worker, Actors.current) if worker
    end

    def init(size, klass, *args)
      Actors.trap_exit
      @start = -> { klass.start_link(*args) }
      @free = Array.new(size) { @start.call }
      @lent = {} # [caller, monitor], by worker
      @waiting = []
    end

    def handle_call(request, from)
      case request
      in [:take, caller]
        @waiting << [from, caller]
        lend
        [:noreply]
      in :free then [:reply, @free.size]
      end
    end

    # The end of a caller goes ahead of what it has sent: its worker may be lent to another one by now.
    def handle_cast(message)
      message => [:give, worker, caller]
      come_back(worker) if @lent[worker]&.first == caller
    end

    def handle_info(message)
      case message
      in [:DOWN, _, caller, _] then @lent.select { |_, (each, _)| each == caller }.each_key { |worker| come_back(worker) }
      in [:EXIT, worker, _]
        @free.delete(worker)
        come_back(worker, @start.call)
      end
    end

    private

    def come_back(worker, free = worker)
      _, watch = @lent.delete(worker)
      Actors.demonitor(watch) if watch
      @free << free
      lend
    end

    # A caller that does not wait any more is passed over.
    def lend
      until @free.empty? || @waiting.empty?
        from, caller = @waiting.shift
        next unless reply(from, @free.first)

        @lent[@free.shift] = [caller, Actors.monitor(caller)]
      end
    end
  end

  # Lets `rate` callers a second through, and up to `burst` of them at once after a pause. The others wait.
  #
  #   limiter.call(:pass, timeout: nil)
  class Limiter < Actors::GenServer
    def init(rate, burst)
      @left = @burst = burst
      @waiting = []
      Actors.interval(1.0 / rate, Actors.current, :one_more)
    end

    def handle_call(_request, from)
      @waiting << from
      let_through
      [:noreply]
    end

    def handle_info(_one_more)
      @left = [@left + 1, @burst].min
      let_through
    end

    private

    # `reply` is false for a caller that does not wait any more.
    def let_through
      @left -= 1 if reply(@waiting.shift, :ok) until @left.zero? || @waiting.empty?
    end
  end

  # Publish and subscribe: a registry with duplicate keys, whose entries end with their actors. A subscriber that does not keep up
  # misses messages.
  module Topics
    def self.start_link(**options) = Actors::Registry.start_link(name: :topics, keys: :duplicate, **options)
    def self.subscribe(topic) = Actors::Registry[:topics].register(topic)

    def self.publish(topic, message)
      Actors::Registry[:topics].dispatch(topic) { |actor, _| actor.send_info([topic, message], full: :drop) }
    end
  end

  class Squarer < Actors::GenServer
    def square(number) = number * number
  end
end

if $PROGRAM_NAME == __FILE__
  top = Actors::Supervisor.start do
    child Recipes::Pool, 2, Recipes::Squarer, name: :pool
    child Recipes::Limiter, 100, 5, name: :limiter
    child Recipes::Topics, id: :topics
  end
  puts "the pool: #{Recipes::Pool.with(Actors[:pool]) { |worker| worker.call(:square, 7) }}"
  start = Actors.now
  15.times { Actors[:limiter].call(:pass) }
  puts "the limiter: 15 calls in #{(Actors.now - start).round(2)} s"
  Recipes::Topics.subscribe("news")
  Recipes::Topics.publish("news", "hello")
  puts "the topic: #{Actors.receive.inspect}"
  top.stop
end
