# frozen_string_literal: true

module MyGem
  VERSION = "0.1.0"
end
