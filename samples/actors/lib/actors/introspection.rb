# frozen_string_literal: true

# SPDX-License-Identifier: MIT

module Actors
  # The instance variables of a server, as text: {:@count => "42"}. For debugging: the server answers when its present message
  # is handled.
  def state(server, timeout: 5)
    Context.current.ask(server, [:state], timeout)
  end
end
