# frozen_string_literal: true

require "hello_ractor"

ractors = Array.new(2) do
  Ractor.new { HelloRactor.serve { |number| number * number } }.tap { HelloRactor.await }
end
puts (1..8).map { |number| HelloRactor.ask(number) }.join(" ")

HelloRactor.stop
ractors.each { |ractor| ractor.respond_to?(:join) ? ractor.join : ractor.take }
puts "both Ractors have left"
