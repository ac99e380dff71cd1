# frozen_string_literal: true

require_relative "support"

# The decision about a stand-in of a Rails application, from its obstacles to its first requests.
class PreparationTest < ChildTest
  APPLICATION = <<~'RUBY'
    require "kino/rails/preparation"
    Settings = Struct.new(:kino, :root)
    Wishes = Struct.new(:ractors, :warm_up)
    class Application
      attr_reader :config

      def initialize = @config = Settings.new(Wishes.new(true, "/up"))
      def ractorize! = Ractor.make_shareable(self)
      def call(env) = [env["PATH_INFO"] == "/up" ? answer : 404, {}, ["up"]]
      def answer = 200
      def executor = self
      def wrap = yield
    end
    module Rails
      APPLICATION = Application.new
      def self.application = APPLICATION
    end
    module KinoRails::Obstacles
      def self.of(_app) = []
    end
    module KinoRails::Repairs
      def self.before_sharing = nil
      def self.after_sharing = nil
    end
    Kino::Mode.adapters << KinoRails::Preparation
    def decide(wanted = :auto) = Kino::Mode.decide(wanted, Rails.application)
  RUBY

  def setup
    need_ractors
  end

  def decision(program)
    child_values("#{APPLICATION}\n#{program}")
  end

  def test_an_application_whose_trial_succeeds_runs_in_ractors
    assert_equal [:ractor, nil, true], decision("d = decide\np [d.mode, d.remark, Ractor.shareable?(Rails.application)]")
  end

  def test_obstacles_are_the_reason_for_threads
    assert_equal [:threaded, "Rails runs in Threads, because it cannot run in Ractors:\n  * a\n  * b", false], decision(<<~'RUBY')
      def (KinoRails::Obstacles).of(_app) = %w[a b]
      d = decide
      p [d.mode, d.remark, Ractor.shareable?(Rails.application)]
    RUBY
  end

  def test_with_mode_ractor_they_are_an_error
    assert_equal "this Rails application cannot run in Ractors:\n  * a\n  Or run it with mode :threaded.", decision(<<~'RUBY')
      def (KinoRails::Obstacles).of(_app) = %w[a]
      p((decide(:ractor) rescue $!.message))
    RUBY
  end

  def test_a_failing_trial_changes_nothing
    mode, remark, shareable = decision(<<~'RUBY')
      class Application
        NAMES = [+"a"]
        def answer = NAMES.size
      end
      d = decide
      p [d.mode, d.remark, Ractor.shareable?(Rails.application)]
    RUBY
    assert_equal [:threaded, false], [mode, shareable]
    assert_match(/\* GET \/up in a Ractor raised:\n.*non-shareable objects in constant Application::NAMES/, remark)
  end

  def test_an_application_that_cannot_be_shared_runs_in_threads
    mode, remark = decision(<<~'RUBY')
      class Application
        def initialize
          @config = Settings.new(Wishes.new(true, "/up"))
          @lock = Thread::Mutex.new
          @block = proc { @lock }
        end
      end
      module Rails
        def self.application = @application ||= Application.new
      end
      d = decide
      p [d.mode, d.remark]
    RUBY
    assert_equal :threaded, mode
    assert_match(/Proc's self is not shareable|can not make shareable/, remark)
  end

  def test_a_server_error_of_the_trial_is_a_reason
    mode, remark = decision("class Application; def answer = 500; end\nd = decide\np [d.mode, d.remark]")
    assert_equal :threaded, mode
    assert_match(%r{\* GET /up in a Ractor was answered with 500\.}, remark)
  end

  def test_an_application_that_has_not_asked_is_left_alone
    assert_equal [[], :threaded], decision(<<~'RUBY')
      asked = []
      (class << KinoRails::Obstacles; self; end).define_method(:of) { |_| asked << 1; [] }
      decide(:threaded)
      Rails.application.config.kino.ractors = false
      p [asked, decide.mode]
    RUBY
  end

  def test_middleware_around_it_is_shared_with_it
    assert_equal [:ractor, true], decision(<<~'RUBY')
      Around = Struct.new(:app) do
        def call(env) = app.call(env)
      end
      around = Around.new(Rails.application)
      p [Kino::Mode.decide(:auto, around).mode, Ractor.shareable?(around)]
    RUBY
  end

  def test_a_server_runs_it_in_ractors_with_kino_main
    assert_equal ["ractor", "200"], decision(<<~'RUBY')
      class Application
        def answer = Kino.main { Ractor.main? ? 200 : 500 }
      end
      require "kino"
      require "net/http"
      server = Kino::Server.new(Rails.application, workers: 2).start
      p [server.mode.to_s, Net::HTTP.get_response(URI("#{server.url}/up")).code]
      server.shutdown
    RUBY
  end
end
