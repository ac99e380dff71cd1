# frozen_string_literal: true

module Kino
  # The version of the C++ library and of the gem, from its only copy. This file is a checkout's; in the gem a
  # generated one has the number itself.
  VERSION = File.read(File.expand_path("../../../../include/kino/version.hpp", __dir__))
                .scan(/^#define KINO_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$/).join(".").freeze
end
