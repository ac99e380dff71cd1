# frozen_string_literal: true

require_relative "app/launch"
require_relative "config/command_line"
require_relative "config/config_file"
require_relative "config/settings"
require_relative "version"

module Kino
  # The kino command. It loads the native server only before it serves.
  class CLI
    CERTIFICATES = "The certificates can be used."
    private_constant :CERTIFICATES

    def self.start(arguments, **rest)
      return new(arguments, **rest).run unless arguments.first == "ctl"

      require_relative "control/command"
      ControlCommand.new(arguments.drop(1)).run
    end

    # +rackup+: the file to serve if neither the arguments nor the configuration name one.
    def initialize(arguments, rackup: nil, out: $stdout, err: $stderr)
      @line = CommandLine.new(arguments)
      @default_rackup = rackup
      @out = out
      @err = err
    end

    # Returns the exit status.
    def run
      Launch.of_this_process
      # A mistake does not prevent --help and --version, and --check reports it with a status of its own.
      settings unless @line.mistakes.empty? || %i[help version check].include?(@line.command)
      __send__(@line.command).tap { @out.flush }
    rescue Errno::ENOSPC, Errno::EIO, Errno::EBADF => e
      # An app's errors are its own.
      raise if @line.command == :serve

      @err.puts("kino: cannot write the output: #{e.message.sub(/ @ .*/, "")}")
      1
    rescue Error => e
      # After what the log already has.
      Log.flush if defined?(Log)
      @err.puts("kino: #{e.message.lines.map(&:chomp).join("\n")}")
      1
    end

    private

    def help
      @out.puts(@line.help)
      0
    end

    def version
      @out.puts("kino #{VERSION} (ruby #{RUBY_VERSION})")
      0
    end

    def completion
      require_relative "config/completion"
      @out.puts(Completion.script(@line.argument))
      0
    end

    def init
      # Before a translation, which takes longer.
      path = new_path

      text, report = @line.from ? translation : template
      File.open(path, File::WRONLY | File::CREAT | File::EXCL) { |file| file.write(text) }
      @out.puts(*report, "wrote #{path}")
      0
    rescue SystemCallError => e
      raise ConfigError, "cannot write #{path}: #{e.message.sub(/ @ .*/, "")}"
    end

    # Where there is no file yet. A new kino.rb would also replace config/kino.rb without a word.
    def new_path
      existing = @line.argument ? [@line.argument] : ConfigFile::PLACES
      found = existing.find { |path| File.exist?(path) }
      raise ConfigError, "#{found} already exists; remove it or choose another path: kino --init PATH" if found

      existing.first
    end

    def template
      require_relative "config/template"
      [Template.text]
    end

    def translation
      require_relative "puma_config/translation"
      made = PumaConfig::Translation.of_file(@line.from)
      [made.config, made.report]
    end

    def check_config
      require_relative "config/report"
      SettingsReport.check(settings)
      @out.puts(CERTIFICATES) if settings[:tls]
      @out.puts(settings.remarks.map { |sentence| "warning: #{sentence}" })
      @out.puts("The configuration is valid#{" (#{config_file.path})" if config_file}. The effective settings, with the sources of " \
                "those that are not defaults:", SettingsReport.text(settings))
      0
    end

    def check
      require_relative "check/command"
      Check::Command.new(@out, @err, json: @line.json, path: @line.check_path).run { [load_app, *check_certificates] }
    end

    # Sentences.
    def check_certificates
      return [] unless settings[:tls]

      require_relative "listen/certificates"
      Certificates.for(settings).load
      [CERTIFICATES]
    end

    def serve
      app = load_app
      require_relative "../kino"
      Server.new(app, settings: settings).run
      0
    end

    def load_app
      set_environment
      require_relative "app/app_file"
      refuse_verb(settings[:rackup])
      ENV["RAILS_IN_RACTORS"] = "1" if @line.rails # read by kino-rails while the app is loaded
      app = AppFile.load(AppFile.of(settings))
      return app unless @line.rails && !defined?(::KinoRails)

      raise ConfigError, "--rails needs the gem kino-rails: add it to the Gemfile, or require \"kino/rails\" after \"rails\""
    end

    # "kino stats" looks like "kino ctl stats", and other servers have a command to start or take a port.
    def refuse_verb(name)
      return if File.exist?(name)

      require_relative "control/verbs"
      meant = if ControlVerbs::VERBS.key?(name) then "kino ctl #{name}"
              elsif name.match?(/\A\d+\z/) then "kino -p #{name}"
              elsif %w[start server].include?(name) then "kino"
              end
      raise ConfigError, "no rackup file #{name} in #{Dir.pwd}; did you mean `#{meant}`?" if meant
    end

    # The variable is the operator's, so only a flag or another variable overrides it.
    def set_environment
      name = settings[:environment] or return
      from_file = !["flag", Options.fetch(:environment).env].include?(settings.source(:environment))
      ENV["RACK_ENV"] = name unless from_file && ENV.key?("RACK_ENV")
    end

    # The flags and the argument, the environment and the configuration file.
    def settings
      @settings ||= Settings.new({ rackup: @line.rackup, **@line.flags }, given_as: "flag", places: ->(option) { option.long_flag || "the argument" },
                                 file: config_file, defaults: { rackup: @default_rackup }.compact,
                                 table: Options::TABLE, mistakes: @line.mistakes)
    end

    def config_file
      @config_file ||= ConfigFile.find(@line.config)
    end
  end
end
