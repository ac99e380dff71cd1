# frozen_string_literal: true

require_relative "options"

module Kino
  # The environment of a process, as far as it sets options: KINO_* variables. Kubernetes also sets such variables, if
  # there is a Service called kino.
  class Environment
    OF_SERVICES = /\AKINO_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)\z/
    ADDRESS = %r{\A(tcp|udp|sctp)://[0-9A-Fa-f.:\[\]]+:\d+\z}

    # +variables+: ENV, or a Hash.
    def initialize(variables)
      ours = variables.select { |name, _| name.start_with?("KINO_") }.to_h
      services, @variables = ours.partition { |name, value| of_service?(name, value, ours) }.map(&:to_h)
      @of_services = services.any?
    end

    # The text for an option, or nil.
    def [](option)
      text = @variables[option.env]
      text unless text.nil? || text.empty?
    end

    # A sentence for each variable that is no option's.
    def remarks
      unknown = (@variables.keys - Options::TABLE.map(&:env)).map do |variable|
        name = variable.scrub("?").gsub(/[[:cntrl:]]/, "?")
        "unknown environment variable #{name}#{Options.suggestion(name.delete_prefix("KINO_").downcase, :env)}"
      end
      unknown << "the KINO_* variables of Kubernetes' Service kino are ignored; enableServiceLinks: false removes them" if @of_services
      unknown
    end

    private

    def of_service?(name, value, all)
      all.key?("KINO_SERVICE_HOST") && (name.scrub("?").match?(OF_SERVICES) || name == "KINO_PORT" && value.scrub("?").match?(ADDRESS))
    end
  end
end
