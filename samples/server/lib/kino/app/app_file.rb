# frozen_string_literal: true

require_relative "../errors"

module Kino
  # Loads the app of a rackup file.
  module AppFile
    def self.load(path)
      if File.directory?(path)
        raise ConfigError, "#{path} is a directory; name a rackup file in it: kino #{File.join(path, "config.ru")}"
      end
      unless File.file?(path)
        raise ConfigError, "no rackup file #{path} in #{Dir.pwd}; create one, or pass its path: kino path/to/config.ru"
      end

      begin
        require "rack/builder"
      rescue LoadError
        raise ConfigError, "a rackup file needs the rack gem; add it with `gem install rack` or to the Gemfile"
      end
      # Rack 2 also returns the options of the file's first line.
      app, = Rack::Builder.parse_file(path)
      raise ConfigError, "#{path} runs #{app.inspect}, which is no Rack app: it has no #call" unless app.respond_to?(:call)

      app
    end
  end
end
