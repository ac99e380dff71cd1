# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# A process of the operating system behind a server: bc computes, one request after the other. If bc ends, so does the server, and
# its supervisor starts both again.
#
#   ruby calculator.rb "2^100" "sqrt(2)"

require "actors"

class Calculator < Actors::GenServer
  def init(*command)
    command = ["bc", "-lq"] if command.empty?
    @port = Actors::Port.start_link(*command)
    @waiting = []
  end

  # The answer comes later, from the process.
  def handle_call(expression, from)
    @waiting << from
    @port.call(:write, "#{expression}\n", timeout: 1)
    [:noreply]
  end

  def handle_info(message)
    case message
    in [:line, _, result] then reply(@waiting.shift, result)
    in [:exit, _, status] then [:stop, [:exit_status, status]]
    else nil
    end
  end
end

if $PROGRAM_NAME == __FILE__
  Actors::Supervisor.start { child Calculator, name: :calculator, isolation: :thread }
  ARGV.each { |expression| puts "#{expression} = #{Actors[:calculator].call(expression)}" }
end
