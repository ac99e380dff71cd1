# frozen_string_literal: true

if defined?(ActiveRecord::Base)
  class Note < ActiveRecord::Base
    scope :named, ->(name) { where(name: name) }
  end
else
  class Note; end
end
