# frozen_string_literal: true

require "actors"

Actors.report_crashes = false

class Account < Actors::GenServer
  def init(balance) = @balance = balance
  def deposit(amount) = @balance += amount

  def withdraw(amount)
    raise ArgumentError, "#{amount} is more than #{@balance}" if amount > @balance

    @balance -= amount
  end
end

account = Account.start(100)
customers = Array.new(10) do
  Actors.spawn_monitor(account) { |bank| 100.times { bank.call(:deposit, 1) } }
end
customers.each { |customer, watch| Actors.receive { |message| message == [:DOWN, watch, customer, :normal] } }
puts "10 actors have made 100 deposits each: #{account.call(:deposit, 0)}"

watch = Actors.monitor(account)
begin
  account.call(:withdraw, 5000)
rescue Actors::Down => e
  puts "the caller learns of it: #{e.reason.message}"
end
puts "so does an actor that monitors it: #{Actors.receive.first(2) == [:DOWN, watch]}"

hours = Actors::Simulation.run(seed: 1) do
  night_watch = Actors.spawn { 8.times { |hour| Actors.sleep(3600); Actors.receive(timeout: 0) } }
  Actors.monitor(night_watch)
  Actors.receive
  Actors.now / 3600
end
puts "a simulation of #{hours.round} hours takes no time"
