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
      def run(&load)
        status, text = @json ? aside { examine(&load) } : examine(&load)
        (status == 2 && !@json ? @err : @out).puts(text)
        status
      end

      private

      # The exit status, and what is said.
      def examine
        app, *remarks = yield
        report = Check.report(app, path: @path)
        [report.ractors? ? 0 : 1, @json ? JSON.pretty_generate(report.to_h) : [*remarks, report.to_s].join("\n")]
      rescue SystemExit => e # An app that ends the program has not been checked.
        failure(AppLoadError.new("the app ended the program with status #{e.status} while it was loaded"))
      rescue Error => e
        failure(e)
      end

      def failure(error)
        return [2, "kino: #{error.message}"] unless @json

        [2, JSON.pretty_generate("schema" => Report::SCHEMA, "kino" => VERSION, "ruby" => RUBY_VERSION, "ractors" => nil,
                                 "error" => { "class" => error.class.name, "message" => error.message.scrub("?") })]
      end

      # Redirects the standard output of the app, and of programs that it starts, to standard error: only JSON belongs there.
      def aside
        STDOUT.flush
        saved = STDOUT.dup
        STDOUT.reopen(STDERR)
        yield
      ensure
        STDOUT.reopen(saved)
        saved.close
      end
    end
  end
end
