// The main function of the test programs: CAF's types must be known before the first actor system.
#include <chainmail/caf/main.hpp>
#include <chainmail/http/http_options.hpp>

#include <catch2/catch_session.hpp>

int main(int argc, char** argv) {
  chainmail::raise_open_file_limit();
  chainmail::init_types();
  return Catch::Session().run(argc, argv);
}
