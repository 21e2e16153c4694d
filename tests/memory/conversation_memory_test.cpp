#include <chainmail/errors.hpp>
#include <chainmail/memory/conversation_key.hpp>
#include <chainmail/memory/conversation_memory.hpp>
#include <chainmail/memory/show_conversation.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

namespace conversation_memory_test {

using namespace chainmail;
using namespace std::literals;

namespace {

conversation_turn turn(std::string human, std::string ai = "ok") {
  return {std::move(human), std::move(ai)};
}

/// What the humans said, in order.
std::string said(conversation_memory& memory, const std::string& key) {
  std::string result;
  for (const auto& one : memory.load(key).turns)
    result += one.human;
  return result;
}

/// Saves a turn for each letter.
void save_all(conversation_memory& memory, const std::string& key, std::string_view letters) {
  for (auto letter : letters)
    REQUIRE(!memory.save(key, turn(std::string(1, letter))));
}

size_t count_bytes(std::string_view text) {
  return text.size();
}

} // namespace

// -- turns ------------------------------------------------------------------------

TEST_CASE("a conversation keeps its turns in order, and each key its own") {
  conversation_memory memory{{}};
  save_all(memory, "x", "ab");
  save_all(memory, "y", "c");
  CHECK(memory.load("x").turns == std::vector{turn("a"), turn("b")});
  CHECK(said(memory, "y") == "c");
  CHECK(said(memory, "never saved").empty());
  CHECK(memory.conversations() == 2);
}

TEST_CASE("an erased conversation is empty, and others are not") {
  conversation_memory memory{{}};
  save_all(memory, "x", "a");
  save_all(memory, "y", "b");
  memory.erase("x");
  memory.erase("never saved");
  CHECK(said(memory, "x").empty());
  CHECK(said(memory, "y") == "b");
  memory.erase("y");
  CHECK(memory.bytes() == 0);
}

TEST_CASE("a window keeps the last turns, however many come") {
  conversation_memory memory{{}, 3};
  save_all(memory, "x", "abcdefg");
  CHECK(said(memory, "x") == "efg");
  auto bytes = memory.bytes();
  save_all(memory, "x", "hijk");
  CHECK(memory.bytes() == bytes);
}

// -- limits -----------------------------------------------------------------------

TEST_CASE("a conversation with as many turns as it may have takes no more") {
  memory_limits limits;
  limits.max_turns = 2;
  conversation_memory memory{limits};
  save_all(memory, "x", "ab");
  auto error = memory.save("x", turn("c"));
  CHECK(error == errc::overloaded);
  CHECK(sentence_of(error).find("2 turns") != std::string::npos);
  CHECK(said(memory, "x") == "ab");
  CHECK(!memory.save("y", turn("c")));
}

TEST_CASE("with one conversation too many, the one used least recently is forgotten") {
  memory_limits limits;
  limits.max_conversations = 2;
  conversation_memory memory{limits};
  save_all(memory, "x", "a");
  save_all(memory, "y", "b");
  memory.load("x"); // is a use
  save_all(memory, "z", "c");
  CHECK(said(memory, "x") == "a");
  CHECK(said(memory, "y").empty());
  CHECK(said(memory, "z") == "c");
  CHECK(memory.conversations() == 2);
}

TEST_CASE("with too much text, conversations are forgotten until the rest fits") {
  memory_limits limits;
  limits.max_bytes = 10'000;
  conversation_memory memory{limits};
  for (const auto* key : {"a", "b", "c", "d"})
    REQUIRE(!memory.save(key, turn(std::string(2'000, 'x'))));
  CHECK(memory.conversations() == 4);
  REQUIRE(!memory.save("e", turn(std::string(5'000, 'x'))));
  CHECK(memory.bytes() <= 10'000);
  CHECK(said(memory, "a").empty());
  CHECK(said(memory, "e").size() == 5'000);
}

TEST_CASE("a conversation that alone is too large is refused, and no other is forgotten for it") {
  memory_limits limits;
  limits.max_bytes = 10'000;
  conversation_memory memory{limits};
  REQUIRE(!memory.save("x", turn("a")));
  CHECK(memory.save("y", turn(std::string(10'000, 'x'))) == errc::overloaded);
  CHECK(memory.save(std::string(10'000, 'k'), turn("b")) == errc::overloaded);
  CHECK(memory.conversations() == 1);
  CHECK(said(memory, "x") == "a");
}

TEST_CASE("a window's oldest turn makes room for the newest") {
  memory_limits limits;
  limits.max_bytes = 10'000;
  conversation_memory memory{limits, 2};
  for (auto letter : "abcd"s)
    REQUIRE(!memory.save("x", turn(std::string(4000, letter))));
  CHECK(said(memory, "x") == std::string(4000, 'c') + std::string(4000, 'd'));
  CHECK(memory.save("x", turn(std::string(7000, 'e'))) == errc::overloaded);
}

// -- summaries --------------------------------------------------------------------

TEST_CASE("a summary takes the place of the turns it was made of, and of no later one") {
  conversation_memory memory{{}};
  save_all(memory, "x", "abc");
  auto lent = memory.begin_folding("x", 2);
  REQUIRE(lent);
  CHECK(lent->what.summary.empty());
  CHECK(lent->what.turns == std::vector{turn("a"), turn("b")});
  CHECK(said(memory, "x") == "abc");
  save_all(memory, "x", "d"); // while the summary is made
  memory.end_folding(*lent, "a and b");
  CHECK(memory.load("x").summary == "a and b");
  CHECK(said(memory, "x") == "cd");
  auto next = memory.begin_folding("x", 1);
  REQUIRE(next);
  CHECK(next->what.summary == "a and b");
}

TEST_CASE("a conversation has one folding at a time, and different ones do not wait") {
  conversation_memory memory{{}};
  save_all(memory, "x", "ab");
  save_all(memory, "y", "c");
  auto lent = memory.begin_folding("x", 1);
  REQUIRE(lent);
  CHECK(!memory.begin_folding("x", 1));
  CHECK(memory.begin_folding("y", 1));
  memory.end_folding(*lent, "a");
  CHECK(memory.begin_folding("x", 1));
}

TEST_CASE("a folding that brings no summary changes nothing and can be tried again") {
  conversation_memory memory{{}};
  save_all(memory, "x", "ab");
  memory.end_folding(*memory.begin_folding("x", 2), std::nullopt);
  CHECK(said(memory, "x") == "ab");
  CHECK(memory.load("x").summary.empty());
  CHECK(memory.begin_folding("x", 2)->what.turns.size() == 2);
}

TEST_CASE("there is nothing to fold of no turns and of no conversation") {
  conversation_memory memory{{}};
  CHECK(!memory.begin_folding("x", 1));
  save_all(memory, "x", "a");
  CHECK(!memory.begin_folding("x", 0));
  CHECK(memory.begin_folding("x", 99)->what.turns.size() == 1);
}

TEST_CASE("a summary that comes after its conversation was erased is dropped") {
  conversation_memory memory{{}};
  save_all(memory, "x", "a");
  auto lent = memory.begin_folding("x", 1);
  REQUIRE(lent);
  memory.erase("x");
  memory.end_folding(*lent, "a");
  CHECK(memory.conversations() == 0);
  save_all(memory, "x", "b"); // another conversation under the same key
  memory.end_folding(*lent, "a");
  CHECK(memory.load("x").summary.empty());
  CHECK(said(memory, "x") == "b");
}

TEST_CASE("a summary counts as text, and a replaced one no longer does") {
  conversation_memory memory{{}};
  save_all(memory, "x", "ab");
  memory.end_folding(*memory.begin_folding("x", 1), std::string(1'000, 's'));
  auto with_long = memory.bytes();
  memory.end_folding(*memory.begin_folding("x", 1), "short");
  CHECK(with_long - memory.bytes() >= 995);
  memory.erase("x");
  CHECK(memory.bytes() == 0);
}

TEST_CASE("a summary that makes the memory too large costs others, not its own conversation") {
  memory_limits limits;
  limits.max_bytes = 10'000;
  conversation_memory memory{limits};
  save_all(memory, "x", "a");
  auto lent = memory.begin_folding("x", 1);
  REQUIRE(lent);
  REQUIRE(!memory.save("y", turn(std::string(6'000, 'y')))); // makes x the one used least recently
  memory.end_folding(*lent, std::string(6'000, 's'));
  CHECK(memory.load("x").summary.size() == 6'000);
  CHECK(said(memory, "y").empty());
  CHECK(memory.bytes() <= 10'000);
}

TEST_CASE("the turns beyond a number of tokens are the oldest, counted as prompts show them") {
  std::vector<conversation_turn> turns{turn("a"), turn("b"), turn("c")};
  auto each = "Human: a\nAI: ok"s.size();
  CHECK(turns_beyond(turns, 3 * each, count_bytes) == 0);
  CHECK(turns_beyond(turns, 3 * each - 1, count_bytes) == 1);
  CHECK(turns_beyond(turns, each, count_bytes) == 2);
  CHECK(turns_beyond(turns, each - 1, count_bytes) == 3);
  CHECK(turns_beyond({}, 0, count_bytes) == 0);
}

// -- reading and showing ----------------------------------------------------------

TEST_CASE("a conversation shows its summary first, then who said what") {
  CHECK(show_conversation({}).empty());
  CHECK(show_conversation({"They met.", {turn("hi", "hello"), turn("and?", "so")}}) ==
        "They met.\nHuman: hi\nAI: hello\nHuman: and?\nAI: so");
  CHECK(show_conversation({{}, {turn("hi", "hello")}}, "User", "Bot") == "User: hi\nBot: hello");
}

TEST_CASE("a call without a conversation belongs to the default one") {
  CHECK(conversation_key({}) == "default"s);
  CHECK(conversation_key({{"conversation", "x"}}) == "x"s);
  CHECK(conversation_key({{"conversation", 3}}).error() == errc::invalid_input);
  CHECK(conversation_key({{"conversation", ""}}).error() == errc::invalid_input);
}

} // namespace conversation_memory_test
