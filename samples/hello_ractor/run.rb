# frozen_string_literal: true

require "hello_ractor"

ractors = HelloRactor.start(2) { HelloRactor.serve { |number| number * number } }
puts (1..8).map { |number| HelloRactor.ask(number) }.join(" ")

HelloRactor.stop
ractors.each { |ractor| ractor.respond_to?(:join) ? ractor.join : ractor.take }
puts "both Ractors have finished"
