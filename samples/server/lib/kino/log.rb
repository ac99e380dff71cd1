# frozen_string_literal: true

module Kino
  # The server's own log: whole lines to $stderr, one write each, so that lines of several workers
  # never mix. Usable in any Ractor, because $stderr is each Ractor's own.
  module Log
    def self.line(text)
      $stderr.write("kino: #{text}\n")
      nil
    end

    # Reports an error with the frames of the application first: they are what the reader can change.
    def self.error(heading, error)
      text = +"kino: #{heading}: #{error.class}: #{message_of(error)}\n"
      Backtrace.append(text, error.backtrace)
      cause = error.cause
      if cause && !cause.equal?(error)
        text << "  caused by #{cause.class}: #{message_of(cause)}\n"
        Backtrace.append(text, cause.backtrace)
      end
      $stderr.write(text)
      nil
    rescue StandardError
      # A closed or full log must not take the request, and then the worker, with it.
      nil
    end

    # The request a report is about. An app may have changed env in any way.
    def self.request(env)
      "#{env["REQUEST_METHOD"]} #{env["SCRIPT_NAME"]}#{env["PATH_INFO"]}"
    rescue StandardError
      "a request"
    end

    # An app's #message may raise; the report must still appear.
    def self.message_of(error)
      error.message.to_s
    rescue StandardError => e
      "(its #message raised #{e.class})"
    end
  end

  # Sorts backtraces into the application's frames and those of gems, Ruby and this server.
  module Backtrace
    # Computed once here: workers in other Ractors can read neither RbConfig nor Gem's state.
    LIBRARY_ROOTS = begin
      roots = [File.expand_path("..", __dir__), "<internal:"]
      roots.concat(RbConfig::CONFIG.values_at("rubylibdir", "sitedir", "vendordir").compact)
      roots.concat(Gem.path.map { |path| File.join(path, "gems") }) if defined?(Gem)
      Ractor.make_shareable(roots.reject(&:empty?).map { |root| root.dup.freeze }.uniq)
    end

    LIBRARY_FRAMES_SHOWN = 12

    def self.append(text, frames)
      return unless frames

      library, application = frames.partition { |frame| library?(frame) }
      application.each { |frame| text << "    " << frame << "\n" }
      return if library.empty?

      text << "    -- libraries --\n" unless application.empty?
      library.first(LIBRARY_FRAMES_SHOWN).each { |frame| text << "    " << frame << "\n" }
      hidden = library.size - LIBRARY_FRAMES_SHOWN
      text << "    ... #{hidden} more\n" if hidden.positive?
    end

    def self.library?(frame)
      LIBRARY_ROOTS.any? { |root| frame.start_with?(root) }
    end
  end
end
