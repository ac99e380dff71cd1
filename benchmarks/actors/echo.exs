# SPDX-License-Identifier: MIT
#
# Some of what actors.rb measures, in Elixir: elixir benchmarks/actors/echo.exs

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

{:ok, server} = GenServer.start(Echo, nil)
clock = fn -> :erlang.monotonic_time(:microsecond) end
me = self()

calls = fn callers ->
  limit = clock.() + 1_000_000
  for _ <- 1..callers, do: spawn(fn -> send(me, Client.run(server, limit, 0)) end)
  Enum.sum(for _ <- 1..callers, do: receive(do: (count -> count)))
end

calls.(1)
IO.puts("call and answer, one caller: #{calls.(1)}/s")
IO.puts("calls, 64 callers: #{calls.(64)}/s")

start = clock.()
for number <- 1..200_000, do: GenServer.cast(server, number)
GenServer.call(server, :done)
IO.puts("casts: #{round(200_000 / ((clock.() - start) / 1.0e6))}/s")

before = :erlang.memory(:total)
start = clock.()
for _ <- 1..100_000, do: {:ok, _} = GenServer.start(Echo, nil)
seconds = (clock.() - start) / 1.0e6
IO.puts("servers: #{round(100_000 / seconds)}/s, #{round((:erlang.memory(:total) - before) / 100_000)} bytes each")
