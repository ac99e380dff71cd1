# frozen_string_literal: true

require "json"

require_relative "../check"
require_relative "../errors"

module Kino
  module Check
    # `kino --check`: exit status 0 if the app can run in Ractors, 1 if not, 2 if it or the configuration cannot be
    # loaded.
    class Command
      def initialize(out, err, json: false, path: nil)
        @out = out
        @err = err
        @json = json
        @path = path
      end

      # The block loads the app. Remarks about other things than the app are shown before the report, not in JSON.
      def run
        app, *remarks = yield
        report = Check.report(app, path: @path)
        @out.puts(@json ? JSON.pretty_generate(report.to_h) : [*remarks, report.to_s].join("\n"))
        report.ractors? ? 0 : 1
      rescue Error => e
        failure(e)
        2
      end

      private

      def failure(error)
        return @err.puts("kino: #{error.message}") unless @json

        @out.puts(JSON.pretty_generate("schema" => Report::SCHEMA, "kino" => VERSION, "ruby" => RUBY_VERSION, "ractors" => nil,
                                       "error" => { "class" => error.class.name, "message" => error.message.scrub("?") }))
      end
    end
  end
end
