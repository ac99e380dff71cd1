# frozen_string_literal: true

# kino is in the gem: nothing else has to be installed, and no other gem can be taken for it.
require_relative "../../vendor/kino/lib/kino/mkmf"
have_kino

# SANITIZE=address,undefined rake: see the Rakefile.
if (sanitizers = ENV["SANITIZE"])
  $CXXFLAGS += " -fsanitize=#{sanitizers} -fno-omit-frame-pointer -O1 -g"
  $DLDFLAGS += " -fsanitize=#{sanitizers}"
end

create_makefile("my_gem/my_gem")
