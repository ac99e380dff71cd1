# SPDX-License-Identifier: MIT
#
# cmake -D EXPECTED=file -P sample_output.cmake -- command...: fails unless the command succeeds and prints
# exactly the content of the file.

set(command "")
set(separator FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(index RANGE ${last})
  if(separator)
    list(APPEND command "${CMAKE_ARGV${index}}")
  elseif(CMAKE_ARGV${index} STREQUAL "--")
    set(separator TRUE)
  endif()
endforeach()

execute_process(COMMAND ${command} OUTPUT_VARIABLE printed RESULT_VARIABLE status)
file(READ "${EXPECTED}" expected)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "The sample ended with status ${status} and printed:\n${printed}")
endif()
if(NOT printed STREQUAL expected)
  message(FATAL_ERROR "The sample printed:\n${printed}\n${EXPECTED} has:\n${expected}")
endif()
