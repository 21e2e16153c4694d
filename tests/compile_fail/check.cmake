# Compiles a file as it is, then with its mistake: the compiler has to say what the file says it does,
# and where, within its first 15 lines.
#
# cmake -DFILE=FILE -DCOMPILER=PROGRAM "-DFLAGS=LIST" -P check.cmake
file(READ "${FILE}" text)
string(REGEX MATCH "// says: ([^\n]+)" ignored "${text}")
set(expected "${CMAKE_MATCH_1}")
string(REGEX REPLACE "// here.*" "" before "${text}")
string(REGEX MATCHALL "\n" lines "${before}")
list(LENGTH lines line)
math(EXPR line "${line} + 1")
cmake_path(GET FILE FILENAME name)

set(compile "${COMPILER}" -std=c++20 -fsyntax-only ${FLAGS} "${FILE}")
execute_process(COMMAND ${compile} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${compile} -DMISTAKE RESULT_VARIABLE status ERROR_VARIABLE said)
if(status EQUAL 0)
  message(FATAL_ERROR "the mistake of ${name} compiles")
endif()
string(REGEX MATCHALL "[^\n]*\n" said "${said}")
list(SUBLIST said 0 15 said)
foreach(words "${expected}" "${name}:${line}:")
  string(FIND "${said}" "${words}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "within the first 15 lines there is no '${words}':\n${said}")
  endif()
endforeach()
