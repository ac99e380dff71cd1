# frozen_string_literal: true

require "fileutils"
require "rack/mock_request"
require "tmpdir"

require_relative "../app"

module Bench
  # One path of the application: its request and its expected response.
  class Endpoint
    COOKIES = "cookie: #{(1..32).map { |n| format("name%02d=%s", n, "v" * 56) }.join("; ")}"
    UPLOAD = 65_536

    attr_reader :name

    def initialize(name, headers: [], upload: 0)
      @name = name
      @headers = headers
      @upload = upload
    end

    ALL = [
      new("plaintext"), new("10k"), new("cpu"), new("io"), new("io_native"), new("json"),
      new("upload", upload: UPLOAD), new("headers", headers: [COOKIES]), new("stream"), new("slow")
    ].to_h { |endpoint| [endpoint.name, endpoint] }.freeze

    def path
      "/#{name}"
    end

    # The application's own response, without a server.
    def expected_body
      @expected_body ||= begin
        options = { method: @upload.zero? ? "GET" : "POST", input: ("a".."z").to_a.join * (@upload / 26 + 1) }
        options[:input] = options[:input][0, @upload]
        @headers.each { |line| options["HTTP_#{line[/\A[^:]+/].upcase}"] = line.split(": ", 2).last }
        _, _, body = BenchmarkApp.new.call(Rack::MockRequest.env_for(path, options))
        text = +""
        body.each { |part| text << part }
        text
      end
    end

    def load_options
      ["--path", path, "--expect", expectation, *@headers.flat_map { |line| ["--header", line] },
       *(@upload.zero? ? [] : ["--upload", @upload.to_s])]
    end

    # A file with the expected body.
    def expectation
      @expectation ||= Endpoint.scratch_file(name, expected_body)
    end

    def self.scratch_file(name, content)
      File.join(scratch, name).tap { |path| File.binwrite(path, content) }
    end

    def self.scratch
      @scratch ||= Dir.mktmpdir("kino-benchmark").tap { |dir| at_exit { FileUtils.remove_entry(dir) } }
    end
  end
end
