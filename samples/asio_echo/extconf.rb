# frozen_string_literal: true

require "kino/mkmf"
have_kino
$CPPFLAGS << " -DASIO_STANDALONE -DASIO_DISABLE_VISIBILITY" # Asio would export its symbols to other gems
create_makefile("asio_echo_native")
