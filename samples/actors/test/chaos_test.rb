# frozen_string_literal: true

require_relative "support"
require_relative "../chaos"

# Random failures in real time: a short version of chaos.rb.
class ChaosTest < ActorsTest
  ENDS = 100

  each_isolation "every_message_restart_and_end_is_accounted_for" do
    account, wrong = Chaos.run(@isolation) do |auditor|
      Actors.sleep(0.01) until auditor.call(:account, timeout: nil)[1] >= ENDS
    end
    assert_empty wrong, account.inspect
    assert_operator account[:answered], :>, 0, account.inspect
  end
end
