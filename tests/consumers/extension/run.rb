# frozen_string_literal: true

# Submits a request in the main Ractor and answers it in another.

require "consumer"

ractor = Ractor.new { Consumer.serve { |number| number * 2 } }
puts "kino #{Consumer.version}: #{Consumer.ask(21)}"
Consumer.stop
ractor.respond_to?(:join) ? ractor.join : ractor.take
