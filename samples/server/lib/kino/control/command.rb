# frozen_string_literal: true

require "json"
require "optparse"

require_relative "../config/config_file"
require_relative "../config/settings"
require_relative "../config/spelling"
require_relative "client"
require_relative "control_plane"
require_relative "tables"

module Kino
  # kino ctl: asks a running server, or tells it what to do.
  class ControlCommand
    # Exit statuses: what was asked for is so; it is not, or the server refused; nothing answered; the command is wrong.
    DONE, NOT_SO, UNREACHABLE, WRONG = 0, 1, 2, 3

    # +path+ is asked for with POST if it is +post+.
    Verb = Struct.new(:path, :post, :help, keyword_init: true)
    VERBS = {
      "stats" => Verb.new(path: "/stats", help: "print the statistics"),
      "workers" => Verb.new(path: "/workers", help: "print what each worker does; --backtraces adds those of the main Ractor's Threads"),
      "ready" => Verb.new(path: "/ready", help: "status 0 if the server is ready, else 1"),
      "reload" => Verb.new(path: "/reload", post: true, help: "reopen log files and read certificates again, as HUP does"),
      "stop" => Verb.new(path: "/stop", post: true, help: "drain in-flight requests and stop, as TERM does"),
      "log-level" => Verb.new(path: "/log-level", post: true, help: "LEVEL: set the level of every Kino::Logger of the main Ractor")
    }.freeze

    INTRODUCTION = <<~TEXT
      Usage: kino ctl [options] COMMAND

      Asks the control plane of a running server, which is found by control_bind of the
      configuration file, KINO_CONTROL_BIND or --control. The token is that of the file
      or KINO_CONTROL_TOKEN; it is no flag, because other users see flags.

      #{VERBS.map { |name, verb| "    #{name.ljust(12)}#{verb.help}" }.join("\n")}

      Exit status: 0 done; 1 not so, or refused; 2 no answer; 3 the command is wrong.
    TEXT

    def initialize(arguments, out: $stdout, err: $stderr)
      @out = out
      @err = err
      @arguments = arguments
    end

    # Returns the exit status.
    def run
      @wanted = parser.permute(@arguments)
      return help if @help

      name, level = arguments
      verb = VERBS.fetch(name)
      show(name, verb, verb.post ? client.post(path(verb, level)) : client.get(path(verb, level)))
    rescue OptionParser::ParseError, ConfigError => e
      complain(e.message)
      WRONG
    rescue ControlClient::Unreachable => e
      complain(e.message)
      UNREACHABLE
    end

    private

    def parser
      @parser ||= OptionParser.new(INTRODUCTION) do |parser|
        parser.separator("\nOptions:")
        parser.on("-C", "--config FILE", "configuration file (default: kino.rb, else config/kino.rb)") { |path| @config = path }
        parser.on("--control ADDRESS", "address of the control plane: host:port or unix:///path") { |address| @address = address }
        parser.on("--json", "print JSON: of stats and workers as it comes, of others {\"status\", \"message\"}") { @json = true }
        parser.on("--backtraces", "with workers") { @backtraces = true }
        parser.on("-h", "--help", "print this") { @help = true }
      end
    end

    def help
      @out.puts(parser.help)
      DONE
    end

    # The verb and its argument. Raises ConfigError.
    def arguments
      name, *rest = @wanted
      raise ConfigError, "what should it do? #{VERBS.keys.join(", ")}; see kino ctl --help" unless name

      unless VERBS.key?(name)
        near = Spelling.nearest(name, VERBS.keys)
        raise ConfigError, "unknown command #{name}; #{near ? "did you mean #{near}?" : "there are #{VERBS.keys.join(", ")}"}"
      end
      raise ConfigError, "log-level needs a level, such as debug" if name == "log-level" && rest.empty?
      raise ConfigError, "#{name} takes no argument, not #{rest.join(" ")}" if rest.size > (name == "log-level" ? 1 : 0)

      [name, *rest]
    end

    def path(verb, level)
      return "#{verb.path}?#{URI.encode_www_form_component(level)}" if level

      @backtraces && verb.path == "/workers" ? "#{verb.path}?backtraces=1" : verb.path
    end

    def client
      settings = Settings.new({}, file: ConfigFile.find(@config), table: Options::TABLE)
      address = @address || settings[:control_bind]&.first
      unless address
        raise ConfigError, "where is the control plane? Set control_bind in the configuration file (-C FILE) or KINO_CONTROL_BIND, " \
                           "or give --control ADDRESS"
      end
      ControlClient.new(ControlPlane.address(address), ControlPlane.secret(settings[:control_token]))
    end

    def show(name, verb, response)
      succeeded = response.is_a?(Net::HTTPSuccess)
      body = response.body.to_s.dup.force_encoding(Encoding::UTF_8)
      if succeeded && Tables::OF.key?(name)
        @out.puts(@json ? body : Tables.text(name, JSON.parse(body)))
      elsif @json
        @out.puts(JSON.generate(status: response.code.to_i, message: body.chomp))
      else
        succeeded || verb.path == "/ready" ? @out.puts(body) : complain(body.chomp)
      end
      succeeded ? DONE : NOT_SO
    end

    def complain(sentence)
      @err.puts("kino ctl: #{sentence}")
    end
  end
end
