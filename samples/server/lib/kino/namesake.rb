# frozen_string_literal: true

module Kino
  # The public gem registry has an unrelated server of the same name. Reports if Ruby has activated that one, before
  # files of both are mixed.
  module Namesake
    # Raises LoadError if another gem named kino is active.
    def self.refuse(active = Gem.loaded_specs["kino"])
      # Another copy of this kino also has this file.
      return if !active || File.file?(File.join(active.full_gem_path, "lib/kino/namesake.rb"))

      raise LoadError, "the active gem #{active.full_name} (#{active.full_gem_path}) is an unrelated gem of the same name: " \
                       "remove it (`gem uninstall kino`, or from the Gemfile), and install this kino from its file or " \
                       "name its path in the Gemfile"
    end
  end
end
