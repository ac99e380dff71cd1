# frozen_string_literal: true

module Kino
  # Suggestions for misspelled names.
  module Spelling
    # The word of +dictionary+ that +word+ probably stands for, or nil.
    def self.nearest(word, dictionary)
      return unless defined?(DidYouMean::SpellChecker)

      DidYouMean::SpellChecker.new(dictionary: dictionary).correct(word.to_s.scrub("?")).first
    end
  end
end
