# frozen_string_literal: true

require "fileutils"
require "net/http"
require "socket"
require "tmpdir"

require_relative "support"

# A Rails application with the settings of the README, served by the command kino: with the installed Rails, which runs it in
# Threads and says why; and in Ractors with the checkouts named by KINO_RAILS (Rails:Rack), whose responses must be those of Threads.
#
#   KINO_RAILS=/src/rails:/src/rack GEM_HOME=/gems tests/run sample -- -R rails
class RailsTest < ChildTest
  KINO = File.expand_path("../../server/exe/kino", __dir__)
  APPLICATION = File.join(__dir__, "application")
  SETTINGS = File.read(File.expand_path("../README.md", __dir__))[/^# config\/environments\/production\.rb\n(.*?)^```/m, 1]
  FORM = "application/x-www-form-urlencoded"
  UPLOAD = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--B--\r\n"
  GETS = %w[/ /?locale=de /things/new /localized /localized?locale=de /json?a=1 /formats /formats.json /data /file /basic /crash /refused
            /urls /log /cached /zone /main?number=4 /stream /gone /missing /sanitized /nowhere /old].freeze
  POSTS = [["/json", '{"x":1}', "application/json"], ["/things", "thing[name]=much+too+long", FORM], ["/things", "thing[name]=ok", FORM],
           ["/upload", UPLOAD, "multipart/form-data; boundary=B"], ["/things/new", "a=1", FORM]].freeze

  # A running server; +log+ is what it has written.
  Server = Struct.new(:pid, :path) do
    def log = File.read(path)

    def port = Integer(log[%r{^ +listening http://127\.0\.0\.1:(\d+)}, 1])

    def request(request, cookie = nil)
      request["Cookie"] = cookie if cookie
      request["Host"] = "www.example.com"
      Net::HTTP.start("127.0.0.1", port) { |http| http.request(request) }
    end

    def get(path, cookie = nil) = request(Net::HTTP::Get.new(path).tap { |get| get.basic_auth("a", "b") if path == "/basic" }, cookie)
  end

  def serve(mode, settings = SETTINGS, *flags, configuration: nil)
    Dir.mktmpdir do |directory|
      File.write("#{directory}/settings.rb", settings)
      FileUtils.mkdir_p(%w[pids sockets].map { |name| "#{directory}/tmp/#{name}" })
      File.write("#{directory}/kino.rb", configuration || "mode :#{mode}\nworkers 3\n")
      env = { "KINO_RAILS" => nil, "EXAMPLE_CHECKOUTS" => ENV.fetch("KINO_RAILS", ""), "RAILS_ENV" => "production", "RACK_ENV" => "production", "EXAMPLE_SETTINGS" => "#{directory}/settings.rb", "RUBY_MAX_CPU" => "64",
              "EXAMPLE_DATABASE" => "#{directory}/notes.sqlite3" }
      pid = Process.spawn(env, RUBY, "-W0", KINO, "-b", "127.0.0.1", "-p", "0", "-C", "#{directory}/kino.rb", *flags, "#{APPLICATION}/config.ru",
                          chdir: directory, %i[out err] => "#{directory}/log")
      server = Server.new(pid, "#{directory}/log")
      await(server)
      yield server
    ensure
      stop(pid) if pid
    end
  end

  def await(server)
    600.times do
      return if server.log.include?("stop with Ctrl-C")

      raise server.log if Process.wait(server.pid, Process::WNOHANG)
      sleep 0.1
    end
    raise "the server does not start:\n#{server.log}"
  end

  def stop(pid)
    Process.kill(:TERM, pid)
    Process.wait(pid)
  rescue Errno::ESRCH, Errno::ECHILD
    nil
  end

  def need_rails
    skip "KINO_RAILS may run in Ractors" if ENV.key?("KINO_RAILS")
    skip "the gem railties is not installed" if Gem::Specification.none? { |gem| gem.name == "railties" }
  end

  # What can be compared.
  def facts(response) = [response.code, response.body.to_s.gsub(/[0-9a-f-]{36}/, ""), response["content-type"], response["location"]]

  def responses(server)
    gets = GETS.to_h { |path| [path, facts(server.get(path))] }
    posts = POSTS.to_h do |path, body, type|
      [[path, body], facts(server.request(Net::HTTP::Post.new(path, "Content-Type" => type).tap { |post| post.body = body }))]
    end
    gets.merge(posts).merge("session" => session(server))
  end

  # Counts with cookies that the server has encrypted before, and reads a flash.
  def session(server)
    form = Net::HTTP::Post.new("/things", "Content-Type" => FORM).tap { |post| post.body = "thing[name]=ok" }
    response = server.request(form)
    Array.new(3) do
      cookie = response.get_fields("set-cookie").map { |field| field[/[^;]*/] }.join("; ")
      response = server.get("/count", cookie)
      response.body
    end
  end

  def test_the_installed_rails_runs_in_threads_and_says_why
    need_rails
    serve("auto") do |server|
      assert_equal "rescued refused", server.get("/refused").body
      reasons = server.log[/^kino: Rails runs in Threads.*?\n(?!  \*)/m]
      version = Gem::Specification.select { |gem| gem.name == "railties" }.map(&:version).max
      assert_equal "kino: Rails runs in Threads, because it cannot run in Ractors:\n  * Rails #{version} cannot run in Ractors: it has no " \
                   "Rails::Application#ractorize!, which its main branch has\n", reasons
      assert_match(/mode +threaded/, server.log)
      assert_equal "5", server.get("/main?number=4").body
    end
  end

  def test_the_flag_rails_is_the_setting
    need_rails
    settings = SETTINGS.sub("config.kino.ractors = true\n", "")
    refute_equal SETTINGS, settings
    serve("auto", settings, "--rails") { |server| assert_match(/Rails runs in Threads, because/, server.log) }
  end

  def test_each_configuration_of_the_page_about_rails_serves_it
    need_rails
    page = File.read(File.expand_path("../../../docs/rails.md", __dir__))
    configurations = page.scan(%r{^```ruby\n# config/kino\.rb\n(.*?)^```}m).flatten
    refute_empty configurations
    configurations.each do |configuration|
      serve(nil, configuration: configuration) do |server|
        assert_equal "2 things", server.get("/").body[/2 things/], configuration
        assert_match(/processes? +\w+/, server.log, configuration) if configuration.include?("processes ")
        assert_match(/^process 1 begins$/, server.log) if configuration.include?("after_fork")
      end
    end
  end

  def test_responses_of_ractors_are_those_of_threads
    skip "KINO_RAILS names no checkout of Rails" unless ENV.key?("KINO_RAILS")
    expected = nil
    serve("threaded") { |server| expected = responses(server) }
    serve("auto") do |server|
      assert_match(/mode +ractor/, server.log)
      responses(server).each { |path, response| assert_equal expected[path], response, path }
      assert_equal ["1 s e made", "2 s e ", "3 s e "], expected["session"]
      8.times.map { |n| Thread.new { 20.times { assert_equal (n + 1).to_s, server.get("/main?number=#{n}").body } } }.each(&:join)
      refute_match(/IsolationError|FrozenError/, server.log)
      assert_match(/RuntimeError \(crash\)/, server.log)
    end
  end

  def test_each_of_several_processes_has_its_own_main_ractor
    skip "KINO_RAILS names no checkout of Rails" unless ENV.key?("KINO_RAILS")
    serve(nil, configuration: "processes 2\nworkers 2\n") do |server|
      assert_match(/mode +ractor/, server.log)
      8.times.map { |n| Thread.new { 20.times { assert_equal (n + 1).to_s, server.get("/main?number=#{n}").body } } }.each(&:join)
      refute_match(/kino main/, server.log)
    end
  end

  def test_queries_run_in_the_main_ractor
    skip "KINO_RAILS names no checkout of Rails" unless ENV.key?("KINO_RAILS")
    begin
      require "sqlite3"
    rescue LoadError
      skip "the gem sqlite3 is not installed"
    end
    settings = "#{SETTINGS}\nconfig.after_initialize { ActiveRecord::Base.connection.create_table(:notes) { |table| table.string :name } }\n"
    serve("auto", settings) do |server|
      assert_match(/mode +ractor/, server.log)
      assert_match(/^kino: Rails runs in Ractors; queries run in the main one, from blocks of Kino\.main$/, server.log)
      8.times.map { |n| Thread.new { 10.times { assert_equal "1", server.get("/notes?name=n#{n}").body, server.log[/^.*(Error|Exception).*$/] } } }.each(&:join)
      assert_equal "404", server.get("/notes_error").code
      server.get("/notes?name=last")
      assert_equal '{"id":81,"name":"last"}', server.get("/notes/81").body
      assert_equal "404", server.get("/notes/1000").code
    end
  end
end
