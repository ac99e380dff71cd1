# frozen_string_literal: true

require "kino/mkmf"
have_kino
create_makefile("work_pool_native")
