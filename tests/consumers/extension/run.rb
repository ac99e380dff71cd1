# frozen_string_literal: true

# Asks the extension from the main Ractor, answers in another.

require "consumer"

ractor = Ractor.new { Consumer.serve { |number| number * 2 } }
puts "kino #{Consumer.version}: #{Consumer.ask(21)}"
Consumer.stop
ractor.respond_to?(:join) ? ractor.join : ractor.take
