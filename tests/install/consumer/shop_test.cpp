// The application's own test: its actor in virtual time, with a scripted LLM.
#include "shop.hpp"

#include <chainmail/caf/virtual_time.hpp>

#include <iostream>

using namespace chainmail;

int main() {
  init_types<caf::id_block::shop>();
  test::virtual_time time;
  auto llm = spawn_scripted_llm(
      time.system, {{.text = "Sock it", .delay = std::chrono::seconds{20}}, {.text = "Toe Joy"}});
  auto shop = spawn_shop(time.system, spawn_llm_chain(time.system, llm, "Name {product}."));
  auto names = test::ask<std::vector<std::string>>(time, shop, order{"socks", 2});
  time.advance(std::chrono::seconds{21});
  std::cout << (names->pending() ? "pending" : describe(names->error)) << '\n';
  return names->result == std::vector<std::string>{"Sock it", "Toe Joy"} ? 0 : 1;
}
