// A test of code that uses chainmail: a scripted LLM, and an hour that takes a millisecond.
//
//   09_testing_in_virtual_time
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chainmail.hpp>

#include <iostream>

using namespace chainmail;
using namespace std::chrono_literals;

namespace {

int failures = 0;

/// Any test framework will do instead.
void check(bool holds, const char* what) {
  std::cout << (holds ? "ok: " : "FAILED: ") << what << '\n';
  failures += holds ? 0 : 1;
}

void test_a_slow_answer() {
  test::virtual_time time;
  auto llm = spawn_scripted_llm(time.system, {{.text = "Sock it", .delay = 1h}});
  auto namer = spawn_llm_chain(time.system, llm, "Name a company for {product}.");
  auto answer =
      test::ask<values>(time, namer, call_atom_v, values{{"product", "socks"}}, time.context(2h));
  time.advance(59min);
  check(answer->pending(), "there is no answer after 59 minutes");
  time.advance(2min);
  check(answer->result && *find_text(*answer->result, "text") == "Sock it", "then there is one");
}

void test_a_deadline() {
  test::virtual_time time;
  auto llm = spawn_scripted_llm(time.system, {{.text = "Sock it", .delay = 1h}});
  auto namer = spawn_llm_chain(time.system, llm, "Name a company for {product}.");
  auto answer = test::ask<values>(
      time, namer, call_atom_v, values{{"product", "socks"}}, time.context(10min));
  time.advance(11min);
  check(answer->error == errc::timed_out, "who waits for ten minutes is told that it was too long");
}

void test_the_prompt() {
  test::virtual_time time;
  std::string asked;
  auto llm = spawn_scripted_llm(time.system, [&asked](const llm_request& request) {
    asked = request.prompts.front();
    return scripted_reply{.text = "fine"};
  });
  auto namer = spawn_llm_chain(time.system, llm, "Name a company for {product}.");
  auto answer =
      test::ask<values>(time, namer, call_atom_v, values{{"product", "socks"}}, time.context());
  time.settle();
  check(asked == "Name a company for socks.", "the LLM is asked for what was put in");
}

} // namespace

int main() {
  init_types();
  test_a_slow_answer();
  test_a_deadline();
  test_the_prompt();
  return failures;
}
