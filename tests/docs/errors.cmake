# Every code of chainmail::errc has a row in docs/errors.md, and every row a code.
#
# cmake -DSOURCE=DIR -P errors.cmake
cmake_minimum_required(VERSION 3.21)

file(READ "${SOURCE}/messages/chainmail/errors.hpp" header)
string(REGEX MATCH "enum class errc[^}]*}" enumeration "${header}")
string(REGEX MATCHALL "[a-z_]+ = [0-9]+" codes "${enumeration}")
list(TRANSFORM codes REPLACE " = .*" "")
file(STRINGS "${SOURCE}/docs/errors.md" rows REGEX "^\\| `[a-z_]+` \\|([^|]*\\|)([^|]*\\|)([^|]*\\|)")
list(TRANSFORM rows REPLACE "^. `([a-z_]+)`.*" "\\1")
list(LENGTH codes count)
if(count LESS 20 OR NOT codes STREQUAL rows)
  message(FATAL_ERROR "docs/errors.md explains\n  ${rows}\nand chainmail::errc has\n  ${codes}")
endif()
