# frozen_string_literal: true

require_relative "support/server_test"

# Thread names, which show in `ps -T` and `top -H` which worker a thread belongs to.
class ThreadNameTest < ServerTest
  HEADER = File.read(File.join(RbConfig::CONFIG["rubyhdrdir"], "ruby/thread.h"))
  # Ruby 3.3 does not give each thread of a Ractor a native thread that could have a name.
  SHARED_THREADS = HEADER.include?("rb_internal_thread_specific_get") && !HEADER.include?("rb_thread_lock_native_thread")

  def setup
    skip "this platform has no thread names in /proc" unless File.exist?("/proc/self/task")
    super
  end

  def names
    Dir["/proc/self/task/*/comm"].map do |path|
      File.read(path).chomp
    rescue Errno::ENOENT, Errno::ESRCH
      nil # ended meanwhile
    end
  end

  # Shareable, without state.
  module Plain
    def self.call(_env) = [200, {}, ["ok"]]
  end

  covers :io_threads
  def test_a_server_with_three_io_threads_serves
    server = serve(Plain, :threaded, lint: false, io_threads: 3)
    eventually("three have the name") { names.count("kino I/O") == 3 }
    clients = Array.new(12) { Client.new(server.port) }
    clients.each { |client| assert_equal "ok", client.get("/").body }
  ensure
    clients&.each(&:close)
  end

  test "threads that write logs have a name" do |mode|
    log = File.join(directory, "access.log")
    before = names.tally
    server = serve(Plain, mode, lint: false, access_log: log)
    Client.open(server.port) { |client| client.get("/") }
    eventually("the line is written") { File.size?(log) }
    assert_operator names.count("kino log"), :>, before.fetch("kino log", 0)
    # Native threads of workers that have ended keep their names; none of them is the log's.
    assert_operator names.count("kino worker 0"), :<=, before.fetch("kino worker 0", 0) + 1
  end

  # Returns the id of the native thread that handles the request. Shareable, without state.
  module NativeThreadId
    def self.call(_env) = [200, {}, [Thread.current.native_thread_id.to_s]]
  end

  # By id, because Ruby reuses native threads of ended ones, and these keep their names.
  { threaded: 1, ractor: 1, ractor_of_threads: 2 }.each do |how, threads|
    define_method("test_workers_and_the_supervisor_have_names_in_#{how}") do
      skip "this Ruby's Ractors share native threads" if how != :threaded && SHARED_THREADS
      server = serve(NativeThreadId, how == :threaded ? :threaded : :ractor, threads: threads, lint: false)
      client = Client.new(server.port)
      handlers = Array.new(20) { client.get("/").body }
      handlers.uniq.each { |id| assert_match(/\Akino worker [0-3]\z/, File.read("/proc/self/task/#{id}/comm").chomp) }
      assert_includes names, "kino supervisor"
    ensure
      client&.close
    end

    define_method("test_workers_and_their_replacements_are_named_by_their_slots_in_#{how}") do
      skip "this Ruby's Ractors share native threads" if how != :threaded && SHARED_THREADS
      record = File.join(directory, "names")
      server = serve(Mortal, how == :threaded ? :threaded : :ractor, threads: threads, lint: false, after_worker_boot: Record.new(record))
      started = server.stats[:alive]
      logged do
        4.times do
          Client.open(server.port) { |client| assert_equal 500, client.get("/").status }
          started += 1
          eventually("the replacement") { File.readlines(record).size == started }
        end
      end
      File.readlines(record, chomp: true).each { |line| assert_match(/\A(\d+) kino worker \1\z/, line) }
    end
  end

  # Ends its worker.
  module Mortal
    def self.call(_env) = raise(NotImplementedError, "the end of this worker")
  end

  # Records the slot of each worker, and the name of its native thread.
  class Record
    def initialize(path)
      @path = path.dup.freeze
      freeze
    end

    def call(slot)
      File.write(@path, "#{slot} #{File.read("/proc/self/task/#{Thread.current.native_thread_id}/comm")}", mode: "a")
    end
  end
end
