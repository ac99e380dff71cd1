# frozen_string_literal: true

module Kino
  class RactorAudit
    # Resolves constants like code in a module, but without autoload and const_missing.
    module Constants
      # A constant's value, its full name and the location of its definition.
      Found = Struct.new(:value, :name, :place)

      module_function

      # The constant that +names+ refer to in a method of +owner+; nil if it does not exist, or not yet.
      def find(names, owner)
        first, *rest = names
        scopes = [Object]
        scopes = lexical(owner) + Ask.module(owner, :ancestors) + scopes unless first == :"" && (first = rest.shift)
        inside(look(first, scopes), rest)
      rescue StandardError
        nil
      end

      # The constant of that name in +owner+ itself, as in self.class::NAME.
      def find_in(owner, name)
        look(name, Ask.own_ancestors(owner))
      rescue StandardError
        nil
      end

      # The constant that +names+ refer to from the one that was found.
      def inside(found, names)
        names.each do |name|
          return unless found && Module === found.value

          found = look(name, [found.value, *Ask.own_ancestors(found.value)])
        end
        found
      end

      # The modules around +owner+, derived from its name.
      def lexical(owner)
        names = Ask::NAME.bind_call(owner).to_s.split("::").map(&:to_sym)
        outer = [Object]
        names.each do |name|
          break unless name.match?(/\A[A-Z]/) && (found = look(name, [outer.first])) && Module === found.value

          outer.unshift(found.value)
        end
        [owner, *outer[0..-2]]
      end

      def look(name, scopes)
        scope = scopes.find { |one| Ask.module(one, :const_defined?, name, false) }
        return if scope.nil? || Ask.module(scope, :autoload?, name, false)

        prefix = "#{Ask.name_of(scope)}::" unless Object.equal?(scope)
        Found.new(Ask.module(scope, :const_get, name, false), "#{prefix}#{name}",
                  Array(Ask.module(scope, :const_source_location, name, false)).join(":"))
      end
    end
  end
end
