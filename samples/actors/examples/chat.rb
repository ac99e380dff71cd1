# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# A chat: an actor for each room, which remembers the last messages and passes new ones to its members.
#
#   ruby chat.rb [ROOMS]      10,000 rooms; 1,000 members listen to two of them each

require "actors"

module Chat
  class Room < Actors::GenServer
    KEPT = 20

    def init(name)
      @name = name
      @messages = []
      @members = {}
    end

    # Returns the last messages; the member gets [:said, room, who, text] from now on, and is forgotten when it ends.
    def join(member)
      @members[member] ||= Actors.monitor(member)
      @messages
    end

    def say(who, text)
      @messages = (@messages << [who, text]).last(KEPT)
      # A member that does not keep up misses messages; the room does not wait for it.
      @members.each_key { |member| member.send_info([:said, @name, who, text], full: :drop) }
    end

    def size = @members.size

    def handle_info(message)
      message in [:DOWN, _, member, _] and @members.delete(member)
    end
  end

  module_function

  def start
    Actors::Supervisor.start(strategy: :rest_for_one) do
      child Actors::Registry, name: :rooms, id: :rooms
      child Actors::DynamicSupervisor, name: :room_supervisor, id: :supervisor
    end
  end

  # The room, which is created if there is none.
  def [](name)
    room = Actors::Registry[:rooms][name]
    room.whereis || Actors::DynamicSupervisor.start_child(Actors[:room_supervisor], Room, name, name: room, label: "room #{name}")
    room
  rescue Actors::Error
    room&.whereis ? room : raise # another caller was faster
  end

  # Listens to rooms, counts what it hears, and tells it on request.
  MEMBER = lambda do |rooms|
    rooms.each { |name| Chat[name].call(:join, Actors.current, timeout: nil) }
    heard = 0
    loop do
      case Actors.receive
      in [:said, *] then heard += 1
      in [:heard, to] then to << [:heard, heard]
      end
    end
  end
end

if $PROGRAM_NAME == __FILE__
  count = Integer(ARGV[0] || 10_000)
  clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
  top = Chat.start
  start = clock.call
  count.times { |number| Chat[number] }
  puts "#{count} rooms were started in #{(clock.call - start).round(1)} s"

  listened = Array.new(1000) { |number| [number, number + 1].map { |each| each % count }.uniq }
  members = listened.map { |rooms| Actors.spawn(rooms, &Chat::MEMBER) }
  Actors.sleep(0.01) until (0..1000).sum { |number| Chat[number % count].call(:size) } >= 2000
  start = clock.call
  count.times { |number| Chat[number].cast(:say, "host", "hello") }
  count.times { |number| Chat[number].call(:size, timeout: 60) } # all have been said
  puts "#{count} messages were passed on in #{(clock.call - start).round(1)} s"
  heard = members.sum do |member|
    member << [:heard, Actors.current]
    Actors.receive[1]
  end
  puts "1000 members have heard #{heard} messages"
  puts "#{File.read("/proc/self/status")[/VmRSS:\s*(\d+)/, 1].to_i / 1024} MB" if File.exist?("/proc/self/status")
  top.stop(timeout: 60)
end
