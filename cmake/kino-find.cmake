# SPDX-License-Identifier: MIT

# kino_find_library(<name>): the rest of a Find module for a C library whose header is <name>/<name>.h and whose Debian package
# is lib<name>-dev. Defines <name>_FOUND and, if it is, <name>::<name>, with the definition KINO_<NAME>. The cache variables
# <NAME>_INCLUDE_DIR and <NAME>_LIBRARY choose another place.
function(kino_find_library name)
  string(TOUPPER "${name}" prefix)
  find_path(${prefix}_INCLUDE_DIR NAMES ${name}/${name}.h DOC "The directory that contains ${name}/${name}.h")
  find_library(${prefix}_LIBRARY NAMES ${name} DOC "The ${name} library")
  mark_as_advanced(${prefix}_INCLUDE_DIR ${prefix}_LIBRARY)
  if(NOT ${prefix}_INCLUDE_DIR OR NOT ${prefix}_LIBRARY)
    set(${name}_FOUND FALSE PARENT_SCOPE)
    if(${name}_FIND_REQUIRED)
      message(FATAL_ERROR "${name} was not found. Install it (Debian: lib${name}-dev) or set ${prefix}_INCLUDE_DIR and "
        "${prefix}_LIBRARY.")
    endif()
    return()
  endif()
  set(${name}_FOUND TRUE PARENT_SCOPE)
  if(TARGET ${name}::${name})
    return()
  endif()
  add_library(${name}::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${name}::${name} PROPERTIES
    IMPORTED_LOCATION "${${prefix}_LIBRARY}"
    INTERFACE_COMPILE_DEFINITIONS KINO_${prefix})
  target_include_directories(${name}::${name} SYSTEM INTERFACE "${${prefix}_INCLUDE_DIR}")
endfunction()
