# frozen_string_literal: true

# SPDX-License-Identifier: MIT

# The functional core: what a quiz is. Values and functions, no actors.
module Quiz
  # A quiz asks for the results of `operator` on numbers up to `limit`, until `mastery` answers in a row are right.
  Definition = Struct.new(:title, :operator, :limit, :mastery)

  # Where a player is.
  Progress = Struct.new(:definition, :seed, :number, :streak, :right, :wrong)

  module Core
    module_function

    def define(title, operator: :+, limit: 10, mastery: 3)
      raise ArgumentError, "the operator must be :+, :- or :*" unless %i[+ - *].include?(operator)

      Ractor.make_shareable(Definition.new(title, operator, limit, mastery))
    end

    def begin(definition, seed)
      Progress.new(definition, seed, 0, 0, 0, 0).freeze
    end

    # The numbers of the present question: always the same ones for the same progress.
    def numbers(progress)
      random = Random.new((progress.seed * 1_000_003) + progress.number)
      Array.new(2) { random.rand(1..progress.definition.limit) }
    end

    def question(progress)
      numbers(progress).join(" #{progress.definition.operator} ")
    end

    # [whether the answer is right, the progress after it]
    def answer(progress, text)
      right = numbers(progress).inject(progress.definition.operator).to_s == text.to_s.strip
      after = progress.dup
      after.number += 1
      after.streak = right ? after.streak + 1 : 0
      right ? after.right += 1 : after.wrong += 1
      [right, after.freeze]
    end

    def mastered?(progress)
      progress.streak >= progress.definition.mastery
    end
  end
end
