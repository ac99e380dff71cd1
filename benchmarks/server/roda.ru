# frozen_string_literal: true

require "roda"

class RodaHello < Roda
  route do |r|
    r.get "plaintext" do
      response["content-type"] = "text/plain"
      "Hello, World!"
    end
  end
end

run RodaHello.freeze.app
