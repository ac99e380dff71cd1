# frozen_string_literal: true

module Kino
  # Says what keeps an app out of Ractors, without changing it.
  module Shareability
    LIMIT = 10

    # The first few obstacles, as sentences; empty when there is none.
    def self.findings(app)
      found = []
      visit(app, "the app", found, {}.compare_by_identity)
      found
    end

    # Goes down until the objects that are themselves the obstacle.
    def self.visit(object, path, found, seen)
      return if found.size >= LIMIT || seen[object]

      seen[object] = true
      return visit_module(object, path, found) if object.is_a?(Module)
      return if Ractor.shareable?(object) && parts(object).empty?

      before = found.size
      parts(object).each { |part, place| visit(part, "#{path}#{place}", found, seen) }
      return if Ractor.shareable?(object) || found.size > before

      found << "#{path} #{complaint(object)}"
    end

    # A class can be reached from every Ractor, but its instance variables only if they are shareable.
    def self.visit_module(object, path, found)
      bad = object.instance_variables.reject { |name| Ractor.shareable?(object.instance_variable_get(name)) }
      return if bad.empty?

      found << "#{path} is #{object.inspect}, whose class-level #{bad.first(5).join(", ")}#{", ..." if bad.size > 5} " \
               "cannot be read in a Ractor"
    end

    # What an object holds, with its place relative to it.
    def self.parts(object)
      parts = object.instance_variables.map { |name| [object.instance_variable_get(name), ".#{name}"] }
      case object
      when Array then object.each_with_index { |part, index| parts << [part, "[#{index}]"] }
      when Hash then object.each { |key, part| parts << [key, ".key(#{brief(key)})"] << [part, "[#{brief(key)}]"] }
      when Struct then object.each_pair { |name, part| parts << [part, ".#{name}"] }
      when Method then parts << [object.receiver, ".receiver"]
      end
      parts
    end

    def self.complaint(object)
      case object
      when Proc
        place = object.source_location&.join(":")
        "is a #{object.lambda? ? "lambda" : "block"}#{" (#{place})" if place} that can capture variables and self; " \
          "use a class with #call, or make the block shareable"
      when IO, Mutex, Thread, Queue, Method then "is a #{object.class}, which belongs to one Ractor"
      else "is an unfrozen #{object.class}#{" (#{brief(object)})" if object.is_a?(String)}"
      end
    end

    def self.brief(object)
      text = object.is_a?(String) || object.is_a?(Symbol) ? object.inspect : object.class.to_s
      text.size > 40 ? "#{text[0, 37]}..." : text
    end
  end
end
