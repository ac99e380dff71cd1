# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
#   kino samples/actors/examples/quiz.ru        (kino, actors and kino/collections on the load path)

require_relative "quiz"
require_relative "quiz/page"

Quiz.start(Quiz::Core.define("Addition"), Quiz::Core.define("Multiplication", operator: :*, mastery: 5))
run Quiz::Page
