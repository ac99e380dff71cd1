# frozen_string_literal: true

module Triage
  def self.priority(ticket)
    case ticket[:kind]
    when :outage, :leak then 0
    when :bug then ticket[:customers].to_i > 100 ? 1 : 2
    else 3
    end
  end

  def self.oldest(tickets)
    oldest = nil
    tickets.each do |ticket|
      oldest = ticket if oldest.nil? || ticket[:since] < oldest[:since]
    end
    oldest
  rescue NoMethodError
    nil
  end
end
