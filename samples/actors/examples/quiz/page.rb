# frozen_string_literal: true

# SPDX-License-Identifier: MIT

require "cgi/escape"
require "securerandom"

module Quiz
  # A Rack application: a page with a question of a quiz. A module can be shared, so it runs in all Ractors of kino.
  module Page
    HEADERS = { "content-type" => "text/html; charset=utf-8", "cache-control" => "no-store" }.freeze
    TEXTS = { "right" => "Right!", "wrong" => "No.", "late" => "That question was answered before.", "mastered" => "Mastered!" }.freeze

    module_function

    def call(env)
      title = decode(env["PATH_INFO"].delete_prefix("/"))
      player = env["HTTP_COOKIE"].to_s[/player=(\h+)/, 1]
      return [303, { "location" => env["PATH_INFO"], "set-cookie" => "player=#{SecureRandom.hex(8)}; HttpOnly; SameSite=Lax" }, []] unless player
      return list if title.empty?
      return ask(title, player, env["QUERY_STRING"]) unless env["REQUEST_METHOD"] == "POST"

      form = env["rack.input"].read(4096).to_s.split("&").to_h { |pair| pair.split("=", 2).map { |part| decode(part) }.values_at(0, 1) }
      result, progress = Quiz.answer(title, player, form["number"].to_i, form["answer"])
      return page("<p>#{TEXTS[result.to_s]} #{score(progress)}</p><p><a href=\"/\">All quizzes</a></p>") if result == :mastered

      [303, { "location" => "#{env["PATH_INFO"]}?#{result}" }, []]
    rescue ArgumentError => e
      page("<p>#{CGI.escapeHTML(e.message)}</p>", 404)
    rescue Actors::Error
      page("<p>One moment. <a href=\"\">Again</a></p>", 503) # an actor has just failed
    end

    # URI has constants that only the main Ractor may read.
    def decode(text)
      text.tr("+", " ").gsub(/%\h\h/) { |code| code[1, 2].hex.chr }.force_encoding(Encoding::UTF_8).scrub
    end

    def encode(text)
      text.gsub(/\W/) { |character| character.bytes.map { |byte| format("%%%02X", byte) }.join }
    end

    def list
      links = Actors[:manager].call(:titles).map { |title| "<li><a href=\"/#{encode(title)}\">#{CGI.escapeHTML(title)}</a></li>" }
      page("<ul>#{links.join}</ul>")
    end

    def ask(title, player, result)
      question, progress = Quiz.question(title, player)
      page(<<~HTML)
        <p>#{TEXTS[result]} #{score(progress)}</p>
        <form method="post">
          <input type="hidden" name="number" value="#{progress.number}">
          <label>#{CGI.escapeHTML(question)} = <input name="answer" autofocus autocomplete="off"></label>
          <button>Answer</button>
        </form>
      HTML
    end

    def score(progress)
      "#{progress.right} right, #{progress.wrong} wrong, #{progress.streak} of #{progress.definition.mastery} in a row."
    end

    def page(body, status = 200)
      [status, HEADERS.dup, ["<!doctype html><meta name=\"viewport\" content=\"width=device-width\"><title>Quiz</title>\n#{body}\n"]]
    end
  end
end
