# frozen_string_literal: true

require_relative "../config/options"
require_relative "addresses"
require_relative "directives"
require_relative "recorder"

module Kino
  module PumaConfig
    # Translates the calls of a recording, in their order.
    class Outcomes
      Call = Recorder::Call
      Unclear = Recorder::Unclear
      MOST_SECONDS = 86_400
      # A constant of Puma.
      DEFAULT_RACKUP = "DefaultRackup"

      attr_reader :entries

      def initialize(path, source, recorded)
        @path = path
        @source = source
        @default_host = "0.0.0.0"
        @threads = recorded.reverse.find { |one| one.is_a?(Call) && one.name == :threads }
        @workers = recorded.reverse.find { |one| one.is_a?(Call) && one.name == :workers }
        @rails = source.of_rails? || File.exist?(File.expand_path("../application.rb", path))
        @listens = false
        @plain = recorded.any? { |one| one.is_a?(Call) && tls?(one) }
        @entries = []
        recorded.each { |one| @entries << (one.is_a?(Call) ? translate(one) : failure(one)) }
        add_addresses
        note_rules_for_clients
      end

      private

      def tls?(call)
        call.name == :ssl_bind || call.name == :bind && call.arguments.first.to_s.start_with?("ssl:")
      end

      def failure(one)
        entry(one.line, :failed, one.message)
      end

      def entry(line, kind, text = nil, code = [])
        Translation::Entry.new(line, line ? @source.line(line) : "", kind, code, text)
      end

      def translate(call)
        name = call.name
        if Directives::NOT_NEEDED.key?(name) then entry(call.line, :not_needed, Directives::NOT_NEEDED[name])
        elsif Directives::INSTEAD.key?(name) then instead(call)
        elsif Directives::TRANSLATED.key?(name) then translated(call)
        elsif Directives::OTHER.key?(name) then entry(call.line, :by_hand, Directives::OTHER[name])
        else entry(call.line, :by_hand, "#{name} is no directive of Puma that kino knows#{suggestion(name)}")
        end
      end

      def suggestion(name)
        near = Spelling.nearest(name, Directives.names.map(&:to_s))
        near ? "; did you mean #{near}?" : ""
      end

      # Some are off by their arguments.
      def instead(call)
        off = call.name == :daemonize && call.arguments == [false]
        return entry(call.line, :not_needed, "kino does not do that") if off

        entry(call.line, :instead, (Directives::PLUGINS[call.arguments.first.to_s] if call.name == :plugin) || Directives::INSTEAD[call.name])
      end

      def translated(call)
        expressions = @source.arguments(call.name, call.line)
        unclear = call.arguments.zip(expressions).filter_map { |value, written| unclear_in(value) unless written }.first
        if unclear && unclear.text != DEFAULT_RACKUP
          return entry(call.line, :by_hand, "it depends on #{unclear.text}, which is not known here")
        end

        __send__(:"on_#{call.name.to_s.delete_suffix("!")}", call, expressions)
      rescue ConfigError => e
        entry(call.line, :by_hand, e.message.lines.first.chomp)
      rescue ArgumentError, TypeError, NoMethodError, IndexError => e
        entry(call.line, :by_hand, "it cannot be translated with these arguments (#{e.message.lines.first.chomp})")
      end

      def unclear_in(value)
        case value
        when Unclear then value
        when Hash then value.each_value.filter_map { |one| unclear_in(one) }.first
        when Array then value.filter_map { |one| unclear_in(one) }.first
        end
      end

      # A line of kino.rb. +expression+: how the value is written, instead of the value.
      def set(name, value, expression = nil)
        option = Options.fetch(name)
        value = value.to_s if value.is_a?(Symbol)
        option.parse(value, name) unless value.is_a?(Unclear)
        return "#{name} #{expression}" if expression && (value.is_a?(Unclear) || same?(expression, value))

        option.directive(option.parse(value, name))
      end

      # Whether the expression, which only reads the environment, has this value.
      def same?(expression, value)
        verbose, $VERBOSE = $VERBOSE, nil
        eval(expression).to_s == value.to_s
      rescue StandardError, ScriptError
        false
      ensure
        $VERBOSE = verbose
      end

      def done(call, *code, text: nil)
        fixed = "it depends on the environment; this is the value here" if reads_environment?(call) && code.compact.none?(/\bENV\b/)
        entry(call.line, :translated, [fixed, text].compact.join("; ").then { |all| all unless all.empty? }, code.compact)
      end

      def reads_environment?(call)
        @source.line(call.line).split(/\b(?:if|unless)\b/).first.to_s.match?(/\bENV\b/)
      end

      # --- listening ---

      def on_bind(call, expressions)
        @listens = true
        code, text = Addresses.of_url(call.arguments.fetch(0), expressions.first, @plain) { |name, value| set(name, value) }
        done(call, *code, text: text)
      end

      def on_port(call, expressions)
        @listens = true
        host = call.arguments[1] || @default_host
        address = Addresses.http(Addresses.bracketed(host), @plain)
        return done(call, set(:bind, "#{address}:#{Integer(call.arguments[0])}")) if @port

        @port = true
        done(call, set(:port, call.arguments[0], expressions.first), set(:bind, address),
             text: ("the address is Puma's default, every interface; 127.0.0.1 is safer if a proxy on this machine is in front" if host == "0.0.0.0"))
      end

      def on_ssl_bind(call, _expressions)
        @listens = true
        code, text = Addresses.of_ssl_bind(*call.arguments) { |name, value| set(name, value) }
        done(call, *code, text: text)
      end

      def on_set_default_host(call, _expressions)
        @default_host = call.arguments.fetch(0).to_s
        entry(call.line, :not_needed, "the addresses of the ports below have it")
      end

      def on_bind_to_activated_sockets(call, _expressions)
        entry(call.line, :instead, "without `bind` and `port`, kino listens on every socket that systemd passes; with them, each address takes its socket")
      end

      def on_clear_binds(call, _expressions)
        @port = @listens = false
        @entries.select { |one| one.code.reject! { |code| code.match?(/\A(bind|port|tls) /) } }.each do |one|
          one.kind, one.text = :not_needed, "clear_binds! removes it"
        end
        entry(call.line, :not_needed, "the addresses above it are left out")
      end

      # Puma's default is not kino's.
      def add_addresses
        return if @listens

        @entries << entry(nil, :by_hand, "the file names no address; Puma then listens on every interface, and kino on 127.0.0.1, both " \
                                         "on port 9292. If other machines connect directly, add `bind \"0.0.0.0\"`")
      end

      # Puma asks the clients of one address for certificates, and kino those of all.
      def note_rules_for_clients
        made = @entries.select { |one| one.code.any?(/\Atls /) }
        return if made.map { |one| one.code.grep(/\Atls /).first[/\bca:.*/] }.uniq.size < 2

        made.each { |one| one.text = [one.text, ONE_RULE].compact.join("; ") }
      end

      ONE_RULE = "`ca` and `verify` apply to the clients of all addresses that speak TLS; for other clients, start a second server"

      # --- workers ---

      ONE_PROCESS = "they are Ractors, or groups of Threads, of one process; as with Puma, there are workers × threads handlers. An app that " \
                 "needs Threads and computes much is faster in `processes` of that number"
      PROCESSES = "as with Puma, processes that share what the master has loaded: Rails computes in one Thread of a process at a time. " \
                  "Connections that initializers open are those of each process: see before_fork and after_fork. To try Ractors, see kino-rails"

      # Those of Rails stay processes.
      def on_workers(call, expressions)
        return entry(call.line, :not_needed, "a later line replaces it") unless call.equal?(@workers)

        name, text = @rails ? [:processes, PROCESSES] : [:workers, ONE_PROCESS]
        written = expressions.first && (expressions.first.match?(/\AInteger\(|\.to_i\z/) ? expressions.first : "Integer(#{expressions.first})")
        return done(call, "#{name} [#{written}, 1].max", text: text) if written && same?(written, call.arguments[0])

        number = call.arguments.fetch(0)
        return workers_by_cpus(call) if number.to_s == "auto"
        return entry(call.line, :not_needed, "that is Puma's single mode; see threads") if Integer(number).zero?

        done(call, set(name, Integer(number)), text: text)
      end

      def workers_by_cpus(call)
        return done(call, set(:processes, "auto"), text: PROCESSES) if @rails

        entry(call.line, :not_needed, "kino chooses the number of workers by the CPUs")
      end

      # Puma's single mode, and each of the processes of Rails, becomes as many workers of one Thread: they can run in parallel Ractors.
      def on_threads(call, expressions)
        return entry(call.line, :not_needed, "a later line replaces it") unless call.equal?(@threads)

        most = call.arguments.fetch(-1)
        most = call.arguments[0].fetch(-1) if most.is_a?(Array)
        return done(call, set(:threads, most, expressions.last), text: fewest(call)) if cluster? && !@rails

        done(call, set(:workers, most, expressions.last), "threads 1", text: cluster? ? OF_EACH : OF_ONE)
      end

      OF_ONE = "as many handlers at once as before; as workers of one Thread, they can run in parallel Ractors"
      OF_EACH = "as many handlers at once as before, in each process; a request that finds no connection of Active Record's pool waits, so " \
                "the pool needs as many"

      def cluster?
        return false unless @workers

        value = @workers.arguments.first
        !@source.arguments(:workers, @workers.line).compact.empty? || value.to_s == "auto" || value.to_s.to_i.positive?
      end

      def fewest(call)
        "kino starts all of them at once; there is no smaller number" if call.arguments.flatten.uniq.size > 1
      end

      # --- times and limits ---

      { first_data_timeout: :header_timeout, persistent_timeout: :keep_alive_timeout, worker_shutdown_timeout: :shutdown_timeout,
        http_content_length_limit: :max_body_size, max_keep_alive: :max_keep_alive, pidfile: :pidfile, environment: :environment }.each do |puma, kino|
        define_method(:"on_#{puma}") do |call, expressions|
          done(call, set(kino, call.arguments.fetch(0), expressions.first))
        end
      end

      def on_force_shutdown_after(call, expressions)
        value = call.arguments.fetch(0, :forever)
        seconds = { "forever" => MOST_SECONDS, "immediately" => 0 }[value.to_s] || value
        done(call, set(:shutdown_timeout, seconds, expressions.first), text: ("that is as long as kino can wait" if value.to_s == "forever"))
      end

      def on_enable_keep_alives(call, _expressions)
        return entry(call.line, :not_needed, "connections stay open") unless call.arguments == [false]

        done(call, set(:max_keep_alive, 1))
      end

      %i[log_requests early_hints].each do |name|
        define_method(:"on_#{name}") { |call, _expressions| done(call, set(name, call.arguments.fetch(0, true))) }
      end

      # --- the process: kino.rb is Ruby, and is evaluated before the app is loaded ---

      def on_rackup(call, expressions)
        value = call.arguments.fetch(0)
        return entry(call.line, :not_needed, "config.ru is the default") if value.is_a?(Unclear) && value.text == DEFAULT_RACKUP

        done(call, set(:rackup, value, expressions.first))
      end

      def on_directory(call, expressions)
        done(call, "Dir.chdir(#{expressions.first || call.arguments.fetch(0).to_s.inspect})")
      end

      def on_tag(call, _expressions)
        return entry(call.line, :not_needed, "kino adds no tag") if call.arguments.fetch(0).to_s.empty?

        done(call, "Process.setproctitle(#{"kino [#{call.arguments[0]}]".inspect})")
      end

      def on_load(call, _expressions)
        entry(call.line, :by_hand, "translate that file, too: kino --init OTHER.rb --from #{call.arguments.fetch(0)}")
      end
    end
  end
end
