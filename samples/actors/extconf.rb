# frozen_string_literal: true

require "kino/mkmf"
have_kino
create_makefile("kino_actors")
