# frozen_string_literal: true

require_relative "support/server_test"

# A server of an app with Active Record has no more Threads than there are connections, unless it is told to.
class ConnectionPoolTest < ServerTest
  # What the server asks of Active Record, with a pool for each name. +release+: that of Rails, whose method names differ.
  def stand_in(release, pools)
    <<~RUBY
      require "kino"
      module ActiveRecord
        Config = Struct.new(:name)
        Pool = Struct.new(:db_config, #{release == "8.1" ? ":max_connections" : ":size"})
        module Base
          POOLS = #{pools.inspect}.map { |name, size| Pool.new(Config.new(name), size) }
          def self.connection_handler = Handler.new
        end
        class Handler
          def connection_pool_list(role) = #{release == "7.0" ? "[]" : "role == :all ? Base::POOLS : []"}
          #{"def all_connection_pools = Base::POOLS" if release == "7.0"}
        end
      end
      APP = Object.new.tap { |app| def app.call(env) = [200, {}, []] }
      def shows(**options)
        settings = Kino::Server.new(APP, mode: :threaded, **options).settings
        puts settings[:workers], settings[:threads]
      end
    RUBY
  end

  # [workers, threads, the log]
  def topology(pools, options = "", release: "8.0")
    status, output = Child.output("-e", "#{stand_in(release, pools)}shows(#{options})")
    assert_equal 0, status, output
    log, numbers = output.lines.partition { |line| line.start_with?("kino: ") }
    [*numbers.map(&:to_i), log.join]
  end

  def test_there_are_as_many_threads_as_the_smallest_pool_has_connections
    %w[7.0 8.0 8.1].each do |release|
      workers, threads, log = topology({ "primary" => 7, "replica" => 5 }, release: release)
      assert_equal [5, 1], [workers, threads], release
      assert_equal 1, log.lines.size
      assert_match(/\Akino: 5 Threads for 5 connections: .*\(replica\)/, log)
    end
  end

  covers :threads, :workers
  def test_a_number_that_is_given_is_kept_and_the_other_one_fits_the_pool
    assert_equal [2, 3], topology({ "primary" => 7 }, "threads: 3").first(2)
    assert_match(/\Akino: 6 Threads for 7 connections/, topology({ "primary" => 7 }, "threads: 3").last)
    assert_equal [4, 1], topology({ "primary" => 7 }, "workers: 4").first(2)
  end

  def test_more_threads_than_connections_are_a_warning_with_both_numbers
    assert_equal [4, 6], topology({ "primary" => 5 }, "workers: 4, threads: 6").first(2)
    assert_match(/\Akino: 24 Threads share the 5 connections .*pool primary.*\n\z/, topology({ "primary" => 5 }, "workers: 4, threads: 6").last)
    workers, threads, log = topology({ "primary" => 5 }, "workers: 8")
    assert_equal [8, 1], [workers, threads]
    assert_match(/\Akino: 8 Threads share the 5 connections/, log)
  end

  def test_a_pool_with_room_for_all_or_without_a_limit_changes_nothing
    usual = topology({})
    assert_equal 3, usual[1]
    assert_equal usual, topology({ "primary" => 10_000 })
    assert_equal usual, topology({ "primary" => nil }, release: "8.1")
    assert_empty usual.last
  end

  def test_an_app_whose_database_is_not_configured_starts
    broken = stand_in("8.0", {}).sub("def self.connection_handler", "def self.unused = raise('no database')\n    def self.connection_handler")
                                .sub("= Handler.new", "= unused")
    status, output = Child.output("-e", "#{broken}shows")
    assert_equal 0, status, output
    assert_equal 2, output.lines.size
  end
end
