# frozen_string_literal: true

module Kino
  # The delay before a dead worker is replaced: none for occasional deaths, a short one if workers die
  # in a row. A crashing handler costs a request each time, so its delays stay short; a worker that
  # cannot be created costs only CPU time, so those delays grow long.
  class Backoff
    QUIET_SECONDS = 1.0
    DEATH_STEP = 0.001
    DEATH_LIMIT = 0.010
    REFUSAL_STEP = 0.1
    REFUSAL_LIMIT = 5.0

    def initialize(free_deaths)
      @free_deaths = free_deaths
      @deaths = 0
      @refusals = 0
      @last_death = nil
    end

    # Call when a worker has died in a handler, at +now+ (monotonic seconds). Returns the delay in seconds.
    def after_death(now)
      @deaths = 0 if @last_death && now - @last_death > QUIET_SECONDS
      @last_death = now
      @deaths += 1
      grown(DEATH_STEP, @deaths - @free_deaths, DEATH_LIMIT)
    end

    # Call when a worker could not be created.
    def after_refusal
      @refusals += 1
      grown(REFUSAL_STEP, @refusals, REFUSAL_LIMIT)
    end

    def joined
      @refusals = 0
    end

    private

    def grown(step, times, limit)
      return 0 unless times.positive?

      [step * (2**[times - 1, 16].min), limit].min
    end
  end
end
