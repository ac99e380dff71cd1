# frozen_string_literal: true

require_relative "support/server_test"

# A require or an autoload inside a handler. For another Ractor, the main Ractor performs it on the main
# Thread, which must therefore be interruptible in every wait. On Rubies without that feature, the handler
# gets an error and the server continues.
class AutoloadTest < ServerTest
  # Loads files written for the test; the query names them.
  class Loading < Apps::Router
    def index(_env)
      Apps.text("hello")
    end

    def required(env)
      require env["QUERY_STRING"]
      Apps.text(KinoAutoloadTest::Required::ANSWER)
    end

    def autoloaded(_env)
      Apps.text(KinoAutoloadTest::Autoloaded::ANSWER)
    end

    def digest(_env)
      Apps.text(Digest::SHA256.hexdigest("kino"))
    end
  end

  # Whether Ractors of this Ruby can require.
  def self.require_in_ractor?
    return @require_in_ractor if defined?(@require_in_ractor)

    Dir.mktmpdir("kino") do |directory|
      path = File.join(directory, "probe.rb")
      File.write(path, "")
      previous, Warning[:experimental] = Warning[:experimental], false
      ractor = Ractor.new(path) do |file|
        Thread.current.report_on_exception = false
        require file
        true
      rescue StandardError
        false
      end
      @require_in_ractor = ractor.respond_to?(:value) ? ractor.value : ractor.take
    ensure
      Warning[:experimental] = previous
    end
  end

  def setup
    super
    Object.const_set(:KinoAutoloadTest, Module.new)
    KinoAutoloadTest.autoload(:Autoloaded, file("Autoloaded"))
  end

  def teardown
    super
    Object.send(:remove_const, :KinoAutoloadTest)
  end

  def file(name)
    File.join(directory, "#{name.downcase}.rb").tap do |path|
      File.write(path, "module KinoAutoloadTest\n  module #{name}\n    ANSWER = 'from the file #{name}'.freeze\n  end\nend\n")
    end
  end

  def skip_without_require_in(mode)
    return if mode == :threaded || self.class.require_in_ractor?

    skip "this Ruby (#{RUBY_VERSION}) cannot require in a Ractor"
  end

  test "a handler can require a file" do |mode|
    skip_without_require_in(mode)
    server = serve(Loading.new, mode)
    path = file("Required")
    Client.open(server.port) { |client| assert_equal "from the file Required", client.get("/required?#{path}").body }
    assert_healthy(server)
  end

  test "a handler can use an autoloaded constant" do |mode|
    skip_without_require_in(mode)
    server = serve(Loading.new, mode)
    Client.open(server.port) { |client| assert_equal "from the file Autoloaded", client.get("/autoloaded").body }
    assert_healthy(server)
  end

  test "a handler can require a file while the main thread waits in Server.run" do |mode|
    skip_without_require_in(mode)
    # In a separate process, whose main Thread only waits.
    script = <<~RUBY
      require "kino"
      require "digest"
      module Lazy; end
      Lazy.autoload(:Thing, #{file("Thing").inspect})
      module KinoAutoloadTest; end
      class App
        def call(_env) = [200, {}, [Lazy.autoload?(:Thing) ? (require #{file("Thing").inspect}; KinoAutoloadTest::Thing::ANSWER) : "no"]]
      end
      Kino::Server.run(App.new.freeze, mode: #{mode.inspect}, workers: 2)
    RUBY
    child = Child.ruby("-e", script)
    Client.open(child.port) { |client| assert_equal "from the file Thing", client.get("/").body }
    child.signal("TERM")
    assert_equal 0, child.status
  ensure
    child&.finish
  end

  # In a separate process, because a Ruby that cannot load them in a Ractor hangs.
  test "a handler may be the first to use an encoding or a converter" do |mode|
    script = <<~RUBY
      require "kino"
      class App
        def call(env)
          name = env["QUERY_STRING"]
          [200, {}, [Encoding.find(name).name, " ", "\u{fc}".encode(name).unpack("C*").join(",")]]
        end
      end
      Kino::Server.run(App.new.freeze, mode: #{mode.inspect}, workers: 2)
    RUBY
    child = Child.ruby("-e", script)
    Client.open(child.port) do |client|
      { "UTF-16" => "254,255,0,252", "UTF-32BE" => "0,0,0,252", "ISO-8859-15" => "252", "EUC-JP" => "143,171,228" }.each do |name, bytes|
        assert_equal "#{name} #{bytes}", client.get("/?#{name}").body
      end
    end
    child.signal("TERM")
    assert_equal 0, child.status, child.log
  ensure
    child&.finish
  end

  test "if Ractors cannot require, the handler gets an error and the server continues", modes: [:ractor] do |mode|
    skip "this Ruby (#{RUBY_VERSION}) can require in a Ractor" if self.class.require_in_ractor?
    server = serve(Loading.new, mode)
    path = file("Required")
    log = logged do
      Client.open(server.port) { |client| 3.times { assert_equal 500, client.get("/required?#{path}").status } }
    end
    assert_match(/IsolationError/, log)
    assert_healthy(server)
  end
end
