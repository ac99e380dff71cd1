# SPDX-License-Identifier: MIT
#
# kino_mutate(name original old new mutated) writes <mutated>: the file <original> with <old> replaced by <new>. <old> must
# occur exactly once; otherwise configuration fails and names the mutant.

function(kino_mutate name original old new mutated)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${original}")
  file(READ "${original}" text)
  string(FIND "${text}" "${old}" first)
  string(FIND "${text}" "${old}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "${CMAKE_CURRENT_LIST_FILE}: the text that '${name}' changes does not occur exactly once in ${original}; adapt it to the file:\n${old}")
  endif()
  string(REPLACE "${old}" "${new}" text "${text}")
  file(CONFIGURE OUTPUT "${mutated}" CONTENT "${text}" @ONLY)
endfunction()
