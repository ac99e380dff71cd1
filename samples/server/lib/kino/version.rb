# frozen_string_literal: true

module Kino
  # The gem's version, the same as the C++ library's (a test compares them).
  VERSION = "0.1.0"
end
