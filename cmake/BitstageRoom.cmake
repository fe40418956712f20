# bitstage_room(NAME [SOURCES …] [DEPENDS …] [PRIVATE_DEPENDS …])
#
# One room of the house: the library bitstage_NAME of the folder it is called in. DEPENDS are what its headers include;
# PRIVATE_DEPENDS what only its sources include. scripts/check_includes.py checks the direction of every #include.
function(bitstage_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  if(ROOM_SOURCES)
    add_library(bitstage_${name} STATIC ${ROOM_SOURCES})
    target_include_directories(bitstage_${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(bitstage_${name} PUBLIC ${ROOM_DEPENDS} PRIVATE ${ROOM_PRIVATE_DEPENDS})
  else()
    add_library(bitstage_${name} INTERFACE)
    target_include_directories(bitstage_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(bitstage_${name} INTERFACE ${ROOM_DEPENDS})
  endif()
endfunction()

# bitstage_test(NAME SOURCES … [DEPENDS …]): a GoogleTest program whose tests ctest lists one by one.
function(bitstage_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${TEST_DEPENDS} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()
