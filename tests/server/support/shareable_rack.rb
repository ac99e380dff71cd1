# frozen_string_literal: true

require "rack"
require "rack/lint"
require "rack/utils"

# Makes Rack's own constants readable in every Ractor. Some are mutable Hashes and Arrays that are never
# changed; until Rack freezes them, an app that uses Rack::Lint or Rack::Headers in a Ractor must do so.
module ShareableRack
  def self.freeze_constants(mod, seen = {}.compare_by_identity)
    return if seen[mod]

    seen[mod] = true
    mod.constants(false).each do |name|
      next if mod.autoload?(name)

      value = mod.const_get(name, false)
      if value.is_a?(Module)
        freeze_constants(value, seen) if value.name&.start_with?("Rack::")
      elsif !Ractor.shareable?(value) && !value.is_a?(Proc)
        Ractor.make_shareable(value)
      end
    end
  end

  # Those that would be autoloaded later.
  %i[Headers Request Response].each { |name| Rack.const_get(name) }

  # Some of the constants are deprecated.
  deprecated, Warning[:deprecated] = Warning[:deprecated], false
  freeze_constants(Rack)
  Warning[:deprecated] = deprecated
end
