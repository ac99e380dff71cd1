# frozen_string_literal: true

require_relative "../errors"
require_relative "backtrace"

module Kino
  # Loads the app of a rackup file.
  module AppFile
    # The path that the option rackup has. Raises ConfigError unless there is such a file.
    def self.of(settings)
      settings.placed(:rackup) { settings[:rackup].tap { |path| check(path) } }
    end

    # Raises ConfigError unless there is such a file.
    def self.check(path)
      if File.directory?(path)
        raise ConfigError, "#{path} is a directory; name a rackup file in it: kino #{File.join(path, "config.ru")}"
      end
      unless File.file?(path)
        raise ConfigError, "no rackup file #{path} in #{Dir.pwd}; create one, or pass its path: kino path/to/config.ru"
      end
    end

    def self.load(path)
      check(path)
      begin
        # Loads Rack's middleware when a rackup file names it, as under other servers.
        require "rack"
        require "rack/builder"
      rescue LoadError
        raise ConfigError, "a rackup file needs the rack gem; add it with `gem install rack` or to the Gemfile"
      end
      app = build(path)
      raise ConfigError, "#{path} runs #{app.inspect}, which is no Rack app: it has no #call" unless app.respond_to?(:call)

      app
    end

    def self.build(path)
      # Rack 2 also returns the options of the file's first line. Rack requires a file of another kind than .ru, so its path
      # must be complete.
      app, = Rack::Builder.parse_file(path.end_with?(".ru") ? path : File.expand_path(path))
      app
    rescue StandardError, ScriptError, SystemStackError, NoMemoryError => e
      raise if e.is_a?(Error)

      raise AppLoadError, failure(path, e)
    end

    # The message first, then the frames of the app. Those of the code that loaded the app tell its author nothing.
    def self.failure(path, error)
      text = +"#{path} raised while it was loaded: #{described(error).chomp}\n"
      append_frames(text, error)
      text << "  caused by #{described(error.cause)}\n" if error.cause
      text << bundle_advice if error.is_a?(LoadError)
      text.chomp
    end

    # Ruby 3.4 and later, and did_you_mean, add the error's class, an excerpt or suggestions to #detailed_message only.
    def self.described(error)
      return "(#{error.class})\n#{error.message}" if error.is_a?(SyntaxError)
      return "#{error.message} (#{error.class})" unless error.respond_to?(:detailed_message)

      error.detailed_message(highlight: false)
    end

    # A library that is not found without Bundler is often a gem of the Gemfile.
    def self.bundle_advice
      return "" if defined?(::Bundler) || !File.file?("Gemfile")

      "There is a Gemfile in #{Dir.pwd}; to use its gems, run `bundle exec kino`.\n"
    end

    def self.append_frames(text, error)
      frames = (error.backtrace || []) - caller
      last = frames.rindex { |frame| !Backtrace.library?(frame) }
      Backtrace.append(text, frames[0..last]) if last
    end
    private_class_method :build, :failure, :described, :bundle_advice, :append_frames
  end
end
