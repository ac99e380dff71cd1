# frozen_string_literal: true

require "tempfile"

require_relative "support/http2_frames"
require_relative "support/server_test"

# The cost of a request: system calls and allocations of the server's native code, and Ruby objects. Counts do not depend
# on the load of the machine. If a change lowers a count, lower the limit here.
class CostTest < ServerTest
  include HTTP2Frames

  COUNTER = ENV["KINO_COST_COUNTER"]
  APP = File.join(__dir__, "support/cost.ru")
  KINDS = %i[recv sendmsg epoll_ctl epoll_wait timerfd_settime wake_up allocation].freeze
  # The slower the requests follow each other, the more of the server sleeps and has to be woken.
  OF_PACE = %i[epoll_wait wake_up].freeze
  WARM_UP = 300
  RUNS = 400
  RUN = 10

  PLAIN = "GET / HTTP/1.1\r\nHost: test.example\r\nUser-Agent: kino\r\nAccept: */*\r\n\r\n"
  UPLOAD = "POST /upload HTTP/1.1\r\nHost: test.example\r\nContent-Length: 65536\r\n\r\n#{"x" * 65_536}".freeze
  STREAM = "GET /stream HTTP/1.1\r\nHost: test.example\r\n\r\n"

  def setup
    super
    skip "the counter to preload is missing: tests/CMakeLists.txt builds it only on Linux" unless COUNTER && File.exist?(COUNTER)
    @file = Tempfile.new("kino-cost")
  end

  def teardown
    super
    @file&.close!
  end

  def start(mode)
    @child = Child.kino("-m", mode.to_s, "-w", "1", "-t", "1", "--max-keep-alive", "1000000", APP,
                        env: { "LD_PRELOAD" => COUNTER, "KINO_COST_FILE" => @file.path })
  end

  def counts
    KINDS.zip(File.binread(@file.path).unpack("Q*")).to_h
  end

  def objects(client)
    client.get("/objects").body.to_i
  end

  # Sends the request this many times, each after the response to the previous one.
  def send_repeatedly(client, request, times)
    times.times do
      client.send_raw(request)
      assert_equal 200, client.read_response.status
    end
  end

  # The average cost of a request, by kind, in the runs that set fewest timers: what these cause is no cost of a request.
  def cost(mode, request)
    runs, made = costs_of_runs(mode, request)
    quiet = with_fewest(:timerfd_settime, runs)
    KINDS.to_h { |kind| [kind, quiet.sum { |run| run[kind] } / quiet.size] }.merge(quick(quiet).slice(*OF_PACE), object: made)
  end

  # Likewise, in the runs that called sendmsg least.
  def cost_of_best_runs(mode, request)
    runs, made = costs_of_runs(mode, request)
    quick(with_fewest(:sendmsg, runs)).merge(object: made)
  end

  def with_fewest(kind, runs) = runs.group_by { |run| run[kind] }.min.last

  # What nine of ten runs equal or exceed: more than the luckiest run needs, and nothing that a slow one adds.
  def quick(runs) = KINDS.to_h { |kind| [kind, runs.map { |run| run[kind] }.sort[runs.size / 10]] }

  # The average cost of a request in each of many short runs, and its objects in all of them.
  def costs_of_runs(mode, request)
    start(mode)
    Client.open(@child.port) do |client|
      send_repeatedly(client, request, WARM_UP)
      objects_before = objects(client)
      runs = Array.new(RUNS) do
        before = counts
        send_repeatedly(client, request, RUN)
        cost_between(before, counts, RUN)
      end
      [runs, (objects(client) - objects_before).fdiv(RUNS * RUN)]
    end
  end

  def cost_between(before, after, requests)
    KINDS.to_h { |kind| [kind, (after[kind] - before[kind]).fdiv(requests)] }
  end

  def assert_costs(limits, cost)
    limits.each do |kind, most|
      assert_operator cost.fetch(kind), :<=, most, "#{kind} per request; all: #{cost.transform_values { |n| n.round(3) }}"
    end
    assert_operator cost[:sendmsg], :>=, 0.99, "the counter counts"
    assert_operator cost[:object], :>=, 12.9, "Ruby counts"
  end

  # The fractions allow for rare events, such as a timer or a connection's first request, and for Ruby, which counts
  # objects in batches. The objects are env, kino.request, the Array of rack.response_finished, and eleven Strings that
  # belong to the app: method, path, query, the server's name and port, protocol, the client's address and port, and header fields.
  test "a small request costs one recv, one sendmsg and no allocation" do |mode|
    assert_costs({ recv: 1.01, sendmsg: 1.01, epoll_ctl: 1.01, epoll_wait: 1.2, timerfd_settime: 0.01, wake_up: 1.3,
                   allocation: 0.01, object: 14.4 }, cost(mode, PLAIN))
  end

  # The body and its length are Strings. rack.input has an object in Ruby and a native one, and a cell ties it to its
  # request, since a collection may free it while another thread ends the request. If the client is slower than the
  # server, the server reads more often.
  test "an upload costs two allocations and at most three recv" do |mode|
    assert_costs({ recv: 3, sendmsg: 1.01, epoll_ctl: 2, epoll_wait: 2.2, timerfd_settime: 0.01, wake_up: 1.3,
                   allocation: 2.01, object: 15.4 }, cost(mode, UPLOAD))
  end

  # The stream has two objects and a cell, too. The first pieces make the I/O thread schedule a flush after a millisecond,
  # for which Asio sets its timer twice. The response is complete by then and sent in one piece, unless the machine is so
  # busy that its worker is descheduled; no load does that in all of many short runs.
  test "a hundred small pieces of a stream are sent together" do |mode|
    assert_costs({ recv: 1, sendmsg: 1, epoll_ctl: 2, epoll_wait: 3, timerfd_settime: 2, allocation: 4, object: 14.4 },
                 cost_of_best_runs(mode, STREAM))
  end

  # Rubies before 3.2 do not tell that a worker waits, so it sends each response at once.
  test "the responses to a hundred requests of one HTTP/2 connection share system calls" do |mode|
    skip "Ruby #{RUBY_VERSION} has no thread events" if RUBY_VERSION < "3.2"
    start(mode)
    Client.open(@child.port) do |client|
      client.send_raw(preface)
      streams = (1..).step(2).each_slice(100)
      costs = Array.new(RUNS / 10) do
        before = counts
        client.send_raw(streams.next.map { |stream| frame(1, 5, stream, "\x82\x84\x86\x01\x0ctest.example") }.join)
        read_frames(client, 100)
        cost_between(before, counts, 100)
      end
      assert_includes 0.01..0.1, costs.map { |cost| cost[:sendmsg] }.min
    end
  end

  private

  # Reads until so many streams have ended.
  def read_frames(client, ends)
    while ends.positive?
      length, _type, flags, stream = "\0#{client.read_exactly(9)}".unpack("NCCN")
      client.read_exactly(length)
      ends -= 1 if flags.allbits?(1) && stream != 0
    end
  end
end
