# frozen_string_literal: true

require_relative "support"
require_relative "../chaos"

# Random failures in real time: a short version of chaos.rb.
class ChaosTest < ActorsTest
  each_isolation "every_message_restart_and_end_is_accounted_for" do
    account, wrong = Chaos.run(1, @isolation)
    assert_empty wrong, account.inspect
    assert_operator account[:ends], :>, 2 * Chaos::SLOTS, account.inspect
  end
end
