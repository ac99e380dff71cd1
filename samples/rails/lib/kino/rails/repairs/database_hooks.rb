# frozen_string_literal: true

module KinoRails
  module Repairs
    # Around each request, Active Record visits its connection pools, which only the main Ractor has. In other Ractors there
    # are none; queries go to the main Ractor (Kino.main).
    module DatabaseHooks
      UPSTREAM = "https://github.com/rails/rails/pull/58306"

      def self.needed?
        defined?(ActiveRecord::Base) ? Probe.fails? { ActiveRecord::Base.connection_handler.each_connection_pool {} } : false
      end

      def self.apply = ActiveRecord::Base.singleton_class.prepend(InMainRactor)

      # The handler of a Ractor without connections.
      class Nothing
        def connection_pool_list(*) = []
        def each_connection_pool(*) = [].each
        def active_connections?(*) = false
        def clear_active_connections!(*) = nil

        def retrieve_connection_pool(*, **)
          raise Kino::Error, "Active Record has its connections in the main Ractor: Kino.main { ... } runs a block there"
        end
      end
      NOTHING = Ractor.make_shareable(Nothing.new)

      module InMainRactor
        def connection_handler = Ractor.main? ? super : NOTHING
      end
    end
  end
end
