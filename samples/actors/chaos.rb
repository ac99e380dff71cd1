# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Random failures in real Ractors and Threads, and the account of what came of every message, restart and end:
#
#   ruby chaos.rb [SECONDS] [shared,own,thread]
#
# Clients call and cast to supervised servers, each of which has a linked helper. Killers end servers, helpers and whole workers
# meanwhile. An auditor monitors every server and helper. Ends with status 1 if something does not add up.

require "actors"

Actors.report_crashes = false

module Chaos
  SLOTS = 4
  COUNTS = %i[started announced answered failed absent handled noted confused late].to_h { |name| [name, Kino::Counter.new] }.freeze
  STATE = Kino::Map.new

  def self.count(name) = COUNTS.fetch(name).add
  def self.running? = !STATE[:stop]

  # Lets the auditor monitor an actor. A killer may end the one that announces between any two of these steps, so there may be more
  # monitors than what was announced, and fewer than what was started.
  def self.announce(ref)
    count(:started)
    STATE[:auditor] << [:up, ref]
    count(:announced)
  end

  # A server. Its mailbox is small, so senders wait often.
  class Server < Actors::GenServer
    def init(slot, isolation)
      @seen = Hash.new(-1)
      Chaos.announce(Actors.current)
      # Shared, whatever the server is, where that is possible: ends cross from one kind to another.
      helper = Actors.spawn_link(capacity: 2) { loop { receive } }
      Chaos.announce(helper)
      STATE[[:helper, slot].freeze] = helper
      isolation
    end

    def handle_call(request, _from)
      Chaos.count(:handled)
      [:reply, request]
    end

    def handle_cast(message)
      case message
      in [:note, client, number]
        Chaos.count(:noted)
        Chaos.count(:confused) unless number > @seen[client] # each once and in order
        @seen[client] = number
      in :crash then raise "chaos"
      in :exit_thread then Thread.exit
      in :stop then [:stop, :chaos]
      end
    end
  end

  # Monitors every server and helper, and counts the ends that it is told. Its mailbox is small, too: servers wait in the middle of
  # their `init`.
  class Auditor < Actors::GenServer
    def init
      @downs = {} # of each monitor
      @unknown = 0
    end

    def handle_info(message)
      case message
      in [:up, ref] then @downs[Actors.monitor(ref)] = 0
      in [:DOWN, watch, _, _]
        @downs.key?(watch) ? @downs[watch] += 1 : @unknown += 1
      end
    end

    # [monitors, told once, not told, told more often or without a monitor]
    def account
      told = @downs.values.tally
      [@downs.size, told[1] || 0, told[0] || 0, @unknown + told.except(0, 1).values.sum]
    end
  end

  CLIENT = lambda do |id|
    number = 0
    while Chaos.running?
      slot = Actors[[:slot, (number * 7 + id) % SLOTS]]
      begin
        slot.cast(:note, id, number)
        answer = slot.call([:echo, id, number], timeout: 60)
        Chaos.count(answer == [:echo, id, number] ? :answered : :confused)
      rescue Actors::Down => e
        Chaos.count(e.reason == :noproc ? :absent : :failed)
        Actors.sleep(0.0005) if e.reason == :noproc
      rescue Actors::CallTimeout
        Chaos.count(:late)
      end
      number += 1
    end
  end

  KILLER = lambda do |seed, isolation|
    random = Random.new(seed)
    while Chaos.running?
      Actors.sleep(random.rand / 100)
      slot = random.rand(SLOTS)
      case random.rand(isolation == :shared ? 30 : 10)
      when 0..2 then Actors[[:slot, slot]].cast(:crash, full: :drop)
      when 3..5 then (ref = Actors[[:slot, slot]].whereis) && Actors.exit(ref, :kill)
      when 6..7 then STATE[[:helper, slot].freeze]&.then { |helper| Actors.exit(helper, :chaos) }
      when 8 then Actors[[:slot, slot]].cast(:stop, full: :drop)
      when 9 then Actors[[:slot, slot]].cast(:exit_thread, full: :drop) # ends all actors of a worker
      else (ref = Actors[[:slot, slot]].whereis) && Actors.exit(ref, :please)
      end
    end
  end

  module_function

  # Goes on until the block returns, which gets the auditor. Returns as `settle`.
  def run(isolation, seed = Random.new_seed % 100_000)
    COUNTS.each_value(&:reset)
    STATE.delete(:stop)
    STATE[:auditor] = auditor = Auditor.start(capacity: 1, isolation: :thread)
    # Where the killers cannot reach them: a worker that ends takes all its actors with it.
    top = Actors::Supervisor.start(max_restarts: 1_000_000, isolation: :thread) do
      SLOTS.times do |slot|
        child Server, slot, isolation, id: slot, name: [:slot, slot], capacity: 3, isolation: isolation
      end
    end
    others = Array.new(3) { |id| Actors.spawn(id, isolation: :thread, &CLIENT) }
    others << Actors.spawn(seed, isolation, isolation: :thread, &KILLER)
    yield auditor
    STATE[:stop] = true
    watches = others.map { |each| Actors.monitor(each) }
    watches.each { |watch| Actors.receive(timeout: 120) { |message| message in [:DOWN, ^watch, _, _] } => [_, _, _, :normal] }
    settle(top, auditor, seed)
  end

  # Ends everything, and returns the account with the list of what does not add up. The calls have no time limit: a machine that is
  # busy with something else makes them late, and not wrong.
  def settle(top, auditor, seed)
    active = top.call(:count_children, timeout: nil)[:active]
    top.stop(timeout: nil)
    account = auditor.call(:account, timeout: nil)
    limit = Actors.now + 60
    account = auditor.call(:account, timeout: nil) until account[1] == account[0] || Actors.now > limit
    auditor.stop(timeout: nil)
    counts = COUNTS.transform_values(&:value)
    wrong = {
      "servers that run at the end" => active == SLOTS,
      "monitors" => account[0].between?(counts[:announced], counts[:started]),
      "ends not told" => account[2].zero?,
      "ends told twice" => account[3].zero?,
      "doubled, reordered or wrong messages" => counts[:confused].zero?,
      "calls without outcome" => counts[:late].zero?,
      "answered calls were handled" => counts[:answered] <= counts[:handled],
      "handled calls were answered, or their caller was told" => counts[:handled] <= counts[:answered] + counts[:failed]
    }.reject { |_, right| right }.keys
    [counts.merge(ends: account[1], seed: seed), wrong]
  end
end

if $PROGRAM_NAME == __FILE__
  seconds = Float(ARGV[0] || 10)
  isolations = (ARGV[1] || (Actors::Runtime::RACTORS ? "shared,own,thread" : "thread")).split(",").map(&:to_sym)
  failed = isolations.map do |isolation|
    account, wrong = Chaos.run(isolation) { Actors.sleep(seconds / isolations.size) }
    memory = File.read("/proc/self/status")[/VmRSS:\s*(\d+)/, 1].to_i / 1024 if File.exist?("/proc/self/status")
    puts "#{isolation}: #{account} #{memory} MB", *wrong.map { |each| "WRONG: #{each}" }
    wrong
  end
  exit 1 unless failed.all?(&:empty?)
end
