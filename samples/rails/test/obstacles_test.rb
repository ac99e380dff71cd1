# frozen_string_literal: true

require_relative "support"

# Each obstacle with a stand-in of Rails that has it and nothing else.
class ObstaclesTest < ChildTest
  STAND_IN = <<~'RUBY'
    require "rack"
    require "kino/rails/obstacles"
    module ActiveSupport
      module Cache
        class NullStore; end
        class MemoryStore
          def initialize = @entries = {}
        end
      end
      module JSON
        def self.decode(*, **) = [1]
      end
    end
    module Rails
      module VERSION
        STRING = "8.2.0"
      end
      class << self
        attr_accessor :cache
      end
    end
    Rails.cache = ActiveSupport::Cache::NullStore.new
    Settings = Struct.new(:eager_load, :reloading_enabled?, :public_file_server, :action_cable)
    Switch = Struct.new(:enabled, :mount_path)
    App = Struct.new(:config, :root) do
      def ractorize! = nil
    end
    APP = App.new(Settings.new(true, false, Switch.new(false), Switch.new(nil, nil)), "/app")
    module Kernel
      alias_method :kino_require, :require
      def require(name) = name == "rack/ractorize" || kino_require(name)
    end
  RUBY

  def obstacles(change, *flags)
    child_values("#{STAND_IN}\n#{change}\np KinoRails::Obstacles.of(APP)", *flags)
  end

  def assert_obstacle(sentence, change, *flags)
    need_ractors
    assert_equal [sentence], obstacles(change, *flags)
  end

  def test_there_may_be_none
    need_ractors
    assert_empty obstacles("")
  end

  def test_rails_without_ractorize
    assert_equal ["Rails 8.2.0 cannot run in Ractors: it has no Rails::Application#ractorize!, which its main branch has"],
                 obstacles("class App; undef_method :ractorize!; end")
  end

  def test_ruby_without_shareable_blocks
    skip "this Ruby has them" if READY
    assert_equal ["Ruby #{RUBY_VERSION} cannot make blocks shareable; Ruby 4.0 can"], obstacles("")
  end

  def test_eager_load
    assert_obstacle "classes are loaded when they are needed, which only the main Ractor can: config.eager_load = true", "APP.config.eager_load = false"
  end

  def test_reloading
    assert_obstacle "classes that change cannot be shared: config.enable_reloading = false", "APP.config[:reloading_enabled?] = true"
  end

  def test_cache
    assert_obstacle "Ractors cannot share the cache ActiveSupport::Cache::MemoryStore: config.cache_store = :null_store",
                    "Rails.cache = ActiveSupport::Cache::MemoryStore.new"
  end

  def test_cable
    assert_obstacle "Action Cable keeps its connections in the main Ractor: config.action_cable.mount_path = nil, and run it in a process of its own",
                    "APP.config.action_cable.mount_path = '/cable'"
  end

  def test_static_files
    assert_obstacle "the file server of Rack 9 cannot be shared: config.public_file_server.enabled = false, with a web server or a content " \
                    "delivery network for public/", <<~'RUBY'
      APP.config.public_file_server.enabled = true
      def Rack.release = "9"
      class Rack::Files
        def call(_env) = @result = [200, {}, []]
      end
    RUBY
  end

  def test_static_files_of_a_rack_that_can
    need_ractors
    assert_empty obstacles("APP.config.public_file_server.enabled = true\nclass Rack::Files; def call(_env) = [200, {}, []]; end")
  end

  def test_rack
    assert_obstacle 'Rack 9 cannot run in Ractors: it has no rack/ractorize; gem "rack", github: "rack/rack"', <<~'RUBY'
      def Rack.release = "9"
      module Kernel
        def require(name) = name == "rack/ractorize" ? raise(LoadError) : kino_require(name)
      end
    RUBY
  end

  def test_json
    assert_obstacle 'Active Support cannot decode with json 9 (unknown keyword): gem "json", "~> 2.18"', <<~'RUBY'
      module JSON; VERSION = "9"; end
      def (ActiveSupport::JSON).decode(*, **) = raise(ArgumentError, "unknown keyword")
    RUBY
  end

  def test_yjit_where_it_stops_all_ractors
    need_ractors
    skip "this Ruby has no YJIT" unless defined?(RubyVM::YJIT)
    sentence = "with YJIT, Ruby #{RUBY_VERSION} stops all Ractors for each block that captures a variable, which makes them slower than Threads " \
               "(bugs.ruby-lang.org 22224): config.yjit = false"
    assert_equal [sentence], obstacles("def (KinoRails::Probe).captures_stop_ractors? = true", "--yjit")
    assert_empty obstacles("def (KinoRails::Probe).captures_stop_ractors? = false", "--yjit")
  end

  def test_without_yjit_no_block_stops_all_ractors
    need_ractors
    assert_equal "false", child("require 'kino/rails/probe'; p KinoRails::Probe.captures_stop_ractors?", *("--disable-yjit" if defined?(RubyVM::YJIT)))
  end

  def test_blocks_of_the_application
    assert_obstacle "the block at /app/a.rb:2 reads or sets variables outside itself, which a Ractor cannot: use a method instead", <<~'RUBY'
      module ActiveSupport
        module Ractors
          class << self
            attr_accessor :unshareable_proc_action

            def try_shareable_proc(proc = nil, &block) = Ractor.shareable_proc(&(proc || block))
          end
        end
      end
      KinoRails::Unshareable.watch
      same = eval("count = 0\n-> { count += 1 }", binding, "/app/a.rb", 1)
      ActiveSupport::Ractors.try_shareable_proc(same).equal?(same) or raise
      ActiveSupport::Ractors.try_shareable_proc(&eval("count = 0\n-> { count += 1 }", binding, "/gems/a.rb", 1))
    RUBY
  end
end
