# frozen_string_literal: true

require_relative "../ractor_audit"

module Kino
  # The connection pools of Active Record. Each Thread that handles a request may keep a connection until the request ends, so
  # a server with more Threads than connections lets requests fail that wait for one.
  module ConnectionPools
    Pool = Struct.new(:name, :size)

    # The pool with the fewest connections; nil if the program does not use Active Record, or has no pool with a limit. Loads
    # ActiveRecord::Base if the program has loaded Active Record, as its first request would.
    def self.smallest
      record = RactorAudit::Constants.find([:"", :ActiveRecord], Object)&.value or return
      all(record::Base.connection_handler).map { |pool| Pool.new(name_of(pool), limit_of(pool)) }
                                          .select { |pool| pool.size&.positive? }.min_by(&:size)
    rescue StandardError, LoadError
      nil # without a database, for example; its first request will say so
    end

    # Rails 7.1 and later know the role :all; up to 7.0, it has no pools.
    def self.all(handler)
      found = handler.connection_pool_list(:all)
      found.empty? && handler.respond_to?(:all_connection_pools) ? handler.all_connection_pools : found
    end

    # Nil without a limit.
    def self.limit_of(pool)
      pool.respond_to?(:max_connections) ? pool.max_connections : pool.size
    end

    def self.name_of(pool)
      pool.db_config.name
    end
    private_class_method :all, :limit_of, :name_of
  end
end
