# frozen_string_literal: true

module Kino
  # Sorts backtraces into the application's frames and those of gems, Ruby and this server. Needs no native code.
  module Backtrace
    # Computed once, because workers in other Ractors can read neither RbConfig nor Gem's state.
    LIBRARY_ROOTS = begin
      roots = [File.expand_path("..", __dir__), "<internal:"]
      roots.concat(RbConfig::CONFIG.values_at("rubylibdir", "sitedir", "vendordir").compact)
      roots.concat(Gem.path.map { |path| File.join(path, "gems") }) if defined?(Gem)
      Ractor.make_shareable(roots.reject(&:empty?).map { |root| root.dup.freeze }.uniq)
    end

    # Limits the application's frames; a deep recursion has thousands.
    HEAD_SHOWN = 20
    TAIL_SHOWN = 10
    LIBRARY_FRAMES_SHOWN = 12

    def self.append(text, frames)
      return unless frames

      library, application = frames.partition { |frame| library?(frame) }
      append_frames(text, application, HEAD_SHOWN, TAIL_SHOWN)
      return if library.empty?

      text << "    -- libraries --\n" unless application.empty?
      append_frames(text, library, LIBRARY_FRAMES_SHOWN, 0)
    end

    def self.append_frames(text, frames, head, tail)
      hidden = frames.size - head - tail
      return frames.each { |frame| text << "    " << frame << "\n" } unless hidden.positive?

      frames.first(head).each { |frame| text << "    " << frame << "\n" }
      text << "    ... #{hidden} more ...\n"
      frames.last(tail).each { |frame| text << "    " << frame << "\n" }
    end

    def self.library?(frame)
      LIBRARY_ROOTS.any? { |root| frame.start_with?(root) }
    end
  end
end
