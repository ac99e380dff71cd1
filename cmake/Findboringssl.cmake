# SPDX-License-Identifier: MIT
#
# Defines boringssl::ssl. KINO_BORINGSSL is the directory of a build of one's own: its include directory, and its
# libraries in lib, build or build/ssl and build/crypto. Otherwise Debian's android-libboringssl-dev is taken, whose files
# have directories of their own beside those of OpenSSL.

set(KINO_BORINGSSL "" CACHE PATH "The directory of a build of BoringSSL; empty: the system's")

if(KINO_BORINGSSL)
  set(boringssl_headers "${KINO_BORINGSSL}/include")
  set(boringssl_libraries
    "${KINO_BORINGSSL}/lib" "${KINO_BORINGSSL}/lib64" "${KINO_BORINGSSL}/build"
    "${KINO_BORINGSSL}/build/ssl" "${KINO_BORINGSSL}/build/crypto")
else()
  set(boringssl_headers /usr/include/android)
  set(boringssl_libraries "/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android" /usr/lib/android)
endif()

# Not cached: KINO_BORINGSSL may change. OpenSSL's files have the same names, so nothing else is searched.
find_path(boringssl_include NAMES openssl/base.h PATHS ${boringssl_headers} NO_DEFAULT_PATH NO_CACHE)
find_library(boringssl_ssl NAMES ssl PATHS ${boringssl_libraries} NO_DEFAULT_PATH NO_CACHE)
find_library(boringssl_crypto NAMES crypto PATHS ${boringssl_libraries} NO_DEFAULT_PATH NO_CACHE)

if(boringssl_include AND boringssl_ssl AND boringssl_crypto)
  set(boringssl_FOUND TRUE)
  if(NOT TARGET boringssl::ssl)
    add_library(boringssl::ssl INTERFACE IMPORTED GLOBAL)
    target_include_directories(boringssl::ssl SYSTEM INTERFACE "${boringssl_include}")
    target_link_libraries(boringssl::ssl INTERFACE "${boringssl_ssl}" "${boringssl_crypto}")
    set_target_properties(boringssl::ssl PROPERTIES KINO_LIBRARIES "${boringssl_ssl};${boringssl_crypto}")
  endif()
else()
  set(boringssl_FOUND FALSE)
  if(KINO_BORINGSSL)
    message(FATAL_ERROR
      "There is no BoringSSL in KINO_BORINGSSL=${KINO_BORINGSSL}: it needs include/openssl/base.h, and the libraries ssl "
      "and crypto in one of ${boringssl_libraries}.")
  endif()
endif()
