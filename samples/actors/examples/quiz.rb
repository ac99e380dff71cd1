# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# A quiz for any number of players. Each session is an actor; any actor may fail at any time, and the players go on.

require "actors"
require_relative "quiz/core"
require_relative "quiz/boundary"

module Quiz
  # The lifecycle: what is started after what.
  class Tree < Actors::Supervisor
    def init
      strategy :rest_for_one, max_restarts: 100, max_seconds: 10
      child Actors::Registry, name: :sessions, keys: :duplicate, id: :sessions
      child Actors::Registry, name: :players, id: :players
      child Actors::DynamicSupervisor, id: :supervisor, name: :session_supervisor
      child Manager, name: :manager
    end
  end

  module_function

  # Starts the quiz, with the definitions, all of them open. Returns its supervisor.
  def start(*definitions)
    tree = Tree.start(label: "quiz")
    definitions.each do |definition|
      Actors[:manager].call(:define, definition)
      Actors[:manager].call(:open, definition.title)
    end
    tree
  end

  def open?(title)
    (SAVED[[:open, title]] || 0) > Actors.now
  end

  # [the question, the progress] of a player
  def question(title, player)
    session(title, player).call(:question)
  end

  # [:right, :wrong, :mastered or :late, the progress]; `number` is that of the question.
  def answer(title, player, number, text)
    session(title, player).call(:answer, number, text)
  end

  # The player's session, which is started if there is none.
  def session(title, player)
    raise ArgumentError, "the quiz #{title} is not open" unless open?(title)

    name = Actors::Registry[:players][[title, player]]
    name.whereis || Actors::DynamicSupervisor.start_child(Actors[:session_supervisor], Session, title, player,
      name: name, label: "#{player} in #{title}", restart: :transient)
    name
  rescue Actors::Error
    name&.whereis ? name : raise # another caller was faster
  end
end
