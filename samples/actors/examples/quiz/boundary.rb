# frozen_string_literal: true

# SPDX-License-Identifier: MIT

# The boundary: actors that keep the state of the core's values, and what happens when.
module Quiz
  # What must survive the failure of an actor: definitions by title, progress by title and player.
  SAVED = Kino::Map.new

  # Knows the quizzes, and which of them are open.
  class Manager < Actors::GenServer
    def define(definition)
      SAVED[[:definition, definition.title].freeze] = definition
      definition.title
    end

    # Opens a quiz, for `seconds` or for ever.
    def open(title, seconds = nil)
      raise ArgumentError, "there is no quiz #{title}" unless SAVED[[:definition, title]]

      SAVED[[:open, title].freeze] = seconds ? Actors.now + seconds : Float::INFINITY
      Actors.send_after(seconds, Actors.current, [:close, title]) if seconds
      title
    end

    def titles
      SAVED.keys.filter_map { |kind, title| title if kind == :open && Quiz.open?(title) }.sort
    end

    def handle_info(message)
      message in [:close, title] or return
      Actors::Registry[:sessions].dispatch(title) { |session, _| session << :close }
    end
  end

  # One player's way through one quiz.
  class Session < Actors::GenServer
    IDLE = 600 # seconds

    def init(title, player)
      @key = [title, player].freeze
      definition = SAVED[[:definition, title]] or return [:stop, :unknown_quiz]
      @progress = SAVED[@key] || SAVED.compute_if_absent(@key) { Core.begin(definition, player.hash.abs % 1_000_000) }
      Actors::Registry[:sessions].register(title, player)
      nil
    end

    def handle_call(request, _from)
      case request
      in :question then [:reply, [Core.question(@progress), @progress], IDLE]
      in [:answer, number, _] if number != @progress.number then [:reply, [:late, @progress], IDLE]
      in [:answer, _, text]
        right, @progress = Core.answer(@progress, text)
        SAVED[@key] = @progress
        Core.mastered?(@progress) ? [:stop, :normal, [:mastered, @progress]] : [:reply, [right ? :right : :wrong, @progress], IDLE]
      end
    end

    def handle_info(message)
      [:stop, :normal] if %i[timeout close].include?(message)
    end
  end
end
