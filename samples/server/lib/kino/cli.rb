# frozen_string_literal: true

require "optparse"

require_relative "config/config_file"
require_relative "config/options"
require_relative "config/settings"
require_relative "version"

module Kino
  # The kino command. It loads the native server only before it serves.
  class CLI
    def self.start(arguments, **rest)
      new(arguments, **rest).run
    end

    # +rackup+: the file to serve if neither the arguments nor the configuration file names one.
    def initialize(arguments, rackup: "config.ru", out: $stdout, err: $stderr)
      @arguments = arguments
      @default_rackup = rackup
      @out = out
      @err = err
      @flags = {}
      @task = :serve
    end

    # Returns the exit status.
    def run
      rest = parser.parse(@arguments)
      raise ConfigError, "only one rackup file can be given, not #{rest.join(" ")}" if rest.size > 1

      __send__(@task, rest.first)
    rescue OptionParser::ParseError, Error => e
      @err.puts("kino: #{e.message.lines.map(&:chomp).join("\n")}")
      @err.puts("`kino --help` lists the options.") if e.is_a?(OptionParser::ParseError)
      1
    end

    private

    def parser
      OptionParser.new do |parser|
        parser.banner = "Usage: kino [options] [rackup file]"
        parser.separator("")
        parser.separator("Options, each with its environment variable, range and default:")
        Options::TABLE.each { |option| add(parser, option) }
        parser.separator("")
        parser.on("-C", "--config FILE", "configuration file (default: kino.rb or config/kino.rb if it exists)") { |path| @config = path }
        parser.on("--init [PATH]", "write a commented configuration file and exit") { |path| task(:init, path) }
        parser.on("--check", "check whether the app can run in Ractors, and if not, list the reasons; and whether the certificates can be used") { task(:check) }
        parser.on("-v", "--version", "print the version") { task(:version) }
        parser.on("-h", "--help", "print this") { task(:help) }
      end
    end

    def add(parser, option)
      facts = [option.env, option.range_text, "default #{option.default_text}"].compact.join("; ")
      switches = [option.flag, "#{option.long_flag} #{option.metavar}"].compact
      parser.on(*switches, String, *folded(option.help), "(#{facts})") do |text|
        value = option.parse(text, option.long_flag)
        @flags[option.name] = option.repeatable? ? Array(@flags[option.name]) + value : value
      end
    end

    # The text, folded to fit beside the switches.
    def folded(text)
      text.scan(/\S.{0,58}\S(?=\s|\z)|\S+/)
    end

    def task(name, argument = nil)
      @task = name
      @argument = argument
    end

    def help(_rackup)
      @out.puts(parser.help)
      0
    end

    def version(_rackup)
      @out.puts("kino #{VERSION} (ruby #{RUBY_VERSION})")
      0
    end

    def init(_rackup)
      path = @argument || ConfigFile::PLACES.first
      File.open(path, File::WRONLY | File::CREAT | File::EXCL) { |file| file.write(ConfigFile.template) }
      @out.puts("wrote #{path}")
      0
    rescue Errno::EEXIST
      raise ConfigError, "#{path} already exists; remove it or choose another path: kino --init PATH"
    rescue SystemCallError => e
      raise ConfigError, "cannot write #{path}: #{e.message.sub(/ @ .*/, "")}"
    end

    def check(rackup)
      app = load_app(rackup)
      check_certificates
      require_relative "ractor_audit"
      findings = RactorAudit.of_app(app)
      if findings.empty? && Ractor.shareable?(app)
        @out.puts("The app can run in Ractors.")
        return 0
      end

      @out.puts("The app cannot run in Ractors:", *findings.map { |finding| "  * #{finding}" })
      1
    end

    def check_certificates
      tls = Settings.new(@flags, given_as: "flag", file: config_file)[:tls] or return
      require_relative "listen/certificates"
      Certificates.new(tls).load
      @out.puts("The certificates can be used.")
    end

    def serve(rackup)
      app = load_app(rackup)
      require_relative "../kino"
      Server.new(app, settings: Settings.new(@flags, given_as: "flag", file: config_file)).run
      0
    end

    def load_app(rackup)
      require_relative "app/app_file"
      AppFile.load(rackup || config_file&.rackup || @default_rackup)
    end

    def config_file
      @config_file ||= ConfigFile.find(@config)
    end
  end
end
