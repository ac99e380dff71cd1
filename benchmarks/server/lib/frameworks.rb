# frozen_string_literal: true

module Bench
  # Framework applications that return "Hello, World!".
  Framework = Struct.new(:name, :gems, :wanted, :rackup, :endpoint, keyword_init: true)

  module Frameworks
    # Answers "Hello, World!" under /plaintext, like the plain application.
    def self.all
      endpoint = Endpoint::ALL.fetch("plaintext")
      [
        Framework.new(name: "roda", gems: "roda", wanted: ["roda"], rackup: File.join(Peers::HERE, "roda.ru"), endpoint: endpoint),
        Framework.new(name: "rails", gems: RailsApp::GEMS, wanted: RailsApp::WANTED, rackup: RailsApp::RACKUP, endpoint: endpoint)
      ]
    end

    def self.available(settings, installer)
      @available ||= all.select { |framework| settings.rails || framework.name != "rails" }.select do |framework|
        problem = installer.install(framework.gems, framework.wanted)
        settings.missing << "#{framework.name}: #{problem}" if problem
        !problem
      end
    end
  end
end
