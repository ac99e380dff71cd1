# frozen_string_literal: true

require "json"
require "optparse"

require_relative "../config/config_file"
require_relative "../config/settings"
require_relative "../config/spelling"
require_relative "client"
require_relative "control_address"
require_relative "control_plane"
require_relative "tables"
require_relative "verbs"

module Kino
  # kino ctl: asks a running server, or tells it what to do.
  class ControlCommand
    # Exit statuses: what was asked for is so; it is not, or the server refused; nothing answered; the command is wrong.
    DONE, NOT_SO, UNREACHABLE, WRONG = 0, 1, 2, 3

    VERBS = ControlVerbs::VERBS
    FOREIGN = "what answers there is no control plane of kino, or one of another version"

    INTRODUCTION = <<~TEXT
      Usage: kino ctl [options] COMMAND

      Asks the control plane of a running server, which is found by --control or --pidfile,
      else by control_bind or pidfile of the configuration file, KINO_CONTROL_BIND or
      KINO_PIDFILE. The token is that of the file or KINO_CONTROL_TOKEN; it is no flag,
      because other users see flags.

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
      @given = {}
      @wanted = parser.permute(@arguments)
      return help if @given[:help]

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
        ControlVerbs::FLAGS.each do |key, flag|
          *short, long = flag.names
          parser.on(*short, [long, *flag.takes].join(" "), flag.help) { |value| @given[key] = value }
        end
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
      takes = VERBS[name].argument
      raise ConfigError, "#{name} needs a level, such as debug" if takes && rest.empty?
      raise ConfigError, "#{name} takes no argument, not #{rest.join(" ")}" if rest.size > (takes ? 1 : 0)

      [name, *rest]
    end

    def path(verb, level)
      return "#{verb.path}?#{URI.encode_www_form_component(level)}" if level

      @given[:backtraces] && verb.path == "/workers" ? "#{verb.path}?backtraces=1" : verb.path
    end

    def client
      settings = Settings.new({}, file: ConfigFile.find(@given[:config]), table: Options::TABLE)
      address = ControlAddress.find(settings, address: @given[:control], pidfile: @given[:pidfile])
      ControlClient.new(ControlPlane.address(address), ControlPlane.secret(settings))
    end

    def show(name, verb, response)
      succeeded = response.is_a?(Net::HTTPSuccess)
      body = response.body.to_s.dup.force_encoding(Encoding::UTF_8).scrub("?")
      if succeeded && Tables::OF.key?(name)
        text = Tables.text(name, data_of(body))
        @out.puts(@given[:json] ? body : text)
      elsif @given[:json]
        @out.puts(JSON.generate(status: response.code.to_i, message: body.chomp))
      elsif succeeded && verb.path == "/metrics"
        @out.puts(metrics_of(body))
      else
        sentence = Tables.printable(body.chomp)
        succeeded || verb.path == "/ready" ? @out.puts(sentence) : complain(sentence)
      end
      succeeded ? DONE : NOT_SO
    end

    # The lines of /metrics. Raises ControlClient::Unreachable if no control plane of kino has answered.
    def metrics_of(body)
      return body.lines(chomp: true).map { |line| Tables.printable(line) } if body.start_with?("# HELP kino_")

      raise ControlClient::Unreachable, FOREIGN
    end

    # The parsed JSON of /stats or /workers. Raises ControlClient::Unreachable likewise.
    def data_of(body)
      data = JSON.parse(body)
      return data if data.is_a?(Hash) && (data.key?("workers") || data.key?("worker_status"))

      raise JSON::ParserError
    rescue JSON::ParserError
      raise ControlClient::Unreachable, FOREIGN
    end

    def complain(sentence)
      @err.puts("kino ctl: #{sentence}")
    end
  end
end
