# frozen_string_literal: true

require "minitest/autorun"
require "rack"

require "kino/check"

# Rack's own middleware: with the fixes that the check names, it serves requests in a Ractor.
class CheckRackTest < Minitest::Test
  class Hello
    def call(_env) = [200, { "content-type" => "text/plain" }, ["hello"]]
  end

  MIDDLEWARE = {
    "Sendfile" => -> { Rack::Sendfile.new(Hello.new) },
    "ETag" => -> { Rack::ETag.new(Rack::ConditionalGet.new(Hello.new)) },
    "ContentLength" => -> { Rack::ContentLength.new(Rack::ContentType.new(Hello.new, "text/plain")) },
    "Deflater" => -> { Rack::Deflater.new(Rack::Head.new(Hello.new)) },
    "Runtime" => -> { Rack::Runtime.new(Rack::TempfileReaper.new(Hello.new)) },
    "MethodOverride" => -> { Rack::MethodOverride.new(Hello.new) },
    "Events" => -> { Rack::Events.new(Hello.new, []) },
    "Lint" => -> { Rack::Lint.new(Hello.new) },
    "URLMap" => -> { Rack::URLMap.new("/" => Rack::Cascade.new([Hello.new])) }
  }.freeze

  # In a forked process, because the constants that are frozen belong to all tests.
  def in_child
    reader, writer = IO.pipe
    pid = fork do
      reader.close
      writer.write(Marshal.dump(yield))
      writer.close
    ensure
      exit!(0)
    end
    writer.close
    Marshal.load(reader.read)
  ensure
    reader.close
    Process.waitpid(pid) if pid
  end

  # Calls Ractor.make_shareable for each expression that the report names.
  def follow(report, app)
    report.findings.map(&:freezing).uniq.each do |expression|
      Ractor.make_shareable(expression == "the app" ? app : Object.class_eval(expression))
    end
  end

  MIDDLEWARE.each do |name, build|
    define_method("test_#{name}_runs_in_a_ractor_once_everything_named_is_frozen") do
      report = in_child do
        app = build.call
        follow(Kino::Check.report(app), app)
        Kino::Check.report(app, path: "/").to_h
      end
      assert report["ractors"], report.inspect
      assert_equal 200, report["warm_up"]["status"]
    end
  end

  # What freezing cannot mend: a lock, a lambda whose self is the middleware, a lambda that captures an unfrozen Regexp. Ruby 4.1
  # freezes every Regexp.
  def test_middleware_that_cannot_be_mended_is_named
    assert_includes Kino::Check.report(Rack::Lock.new(Hello.new)).findings.map(&:to_s), "the app.@mutex is a Thread::Mutex, which belongs to one Ractor"
    logger = Kino::Check.report(Rack::CommonLogger.new(Hello.new)).findings
    assert(logger.any? { |one| one.freezing? == Regexp.union.frozen? && one.text.match?(/ reads @ip_filter of Rack::Request, a Proc that is not shareable/) }, logger.join("\n"))
    files = Kino::Check.report(Rack::Files.new(__dir__)).findings
    assert(files.any? { |one| one.kind == :self && one.text.match?(/whose self, a Rack::Files, is not shareable and used \(\S+files\.rb:\d+\)/) }, files.join("\n"))
  end
end
