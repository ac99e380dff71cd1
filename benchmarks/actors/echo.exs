# SPDX-License-Identifier: MIT
#
# What peers.rb measures, in Elixir: elixir benchmarks/actors/echo.exs [SECONDS]

defmodule Echo do
  use GenServer
  def init(state), do: {:ok, state}
  def handle_call(request, _from, state), do: {:reply, request, state}
  def handle_cast(_message, state), do: {:noreply, state}
end

defmodule Client do
  def run(server, limit, count) do
    if :erlang.monotonic_time(:microsecond) < limit do
      GenServer.call(server, count)
      run(server, limit, count + 1)
    else
      count
    end
  end
end

{seconds, _} = Float.parse(List.first(System.argv()) || "1")
{:ok, server} = GenServer.start(Echo, nil)
clock = fn -> :erlang.monotonic_time(:microsecond) end
me = self()

calls = fn callers ->
  limit = clock.() + round(seconds * 1.0e6)
  for _ <- 1..callers, do: spawn(fn -> send(me, Client.run(server, limit, 0)) end)
  round(Enum.sum(for _ <- 1..callers, do: receive(do: (count -> count))) / seconds)
end

calls.(1)
IO.puts("call: #{calls.(1)}")
IO.puts("calls: #{calls.(64)}")

start = clock.()
for number <- 1..200_000, do: GenServer.cast(server, number)
GenServer.call(server, :done)
IO.puts("casts: #{round(200_000 / ((clock.() - start) / 1.0e6))}")

before = :erlang.memory(:total)
start = clock.()
for _ <- 1..100_000, do: {:ok, _} = GenServer.start(Echo, nil)
took = (clock.() - start) / 1.0e6
IO.puts("starts: #{round(100_000 / took)}")
IO.puts("bytes of each: #{round((:erlang.memory(:total) - before) / 100_000)}")
