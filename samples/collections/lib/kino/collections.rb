# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# Collections that every Ractor and Thread of a process may use at the same time. They are shareable: keep one in a
# constant, or pass it to Ractor.new.

require "kino_collections"
require_relative "collections/channel"
require_relative "collections/counter"
require_relative "collections/map"
