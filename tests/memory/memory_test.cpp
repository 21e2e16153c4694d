#include "support/refusal.hpp"
#include "support/stub_llm.hpp"

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/memory/memory.hpp>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>

namespace memory_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr auto grace = 25ms;

struct fixture {
  /// The stub holds promises of actors that hold the stub.
  ~fixture() { caf::anon_send_exit(llm, caf::exit_reason::kill); }

  virtual_time time;
  std::shared_ptr<stub_log> log = std::make_shared<stub_log>();
  stub_llm_actor llm = spawn_stub_llm(time.system, log);

  auto save(const memory_actor& memory, const std::string& key, const std::string& human,
      const call_context& context) {
    auto result = ask_void(memory, key, {human, "ok"}, context);
    time.settle();
    return result;
  }

  auto save(const memory_actor& memory, const std::string& key, const std::string& human) {
    return save(memory, key, human, time.context());
  }

  conversation load(const memory_actor& memory, const std::string& key) {
    auto result = ask<conversation>(time, memory, load_atom_v, key, time.context());
    time.settle();
    return result->result.value();
  }

  /// The summary in brackets, then what the humans said.
  std::string said(const memory_actor& memory, const std::string& key) {
    auto found = load(memory, key);
    auto result = found.summary.empty() ? ""s : "[" + found.summary + "]";
    for (const auto& turn : found.turns)
      result += turn.human;
    return result;
  }

  std::string prompt(size_t index) { return log->calls.at(index).request.prompts.at(0); }

  void answer_and_settle(uint64_t index, const std::string& text) {
    answer(llm, index, text);
    time.settle();
  }

  /// A summary buffer whose tokens are turns.
  memory_actor keeps_turns(size_t count) {
    summary_memory_options options;
    options.max_tokens = count;
    options.count_tokens = [](std::string_view) { return size_t{1}; };
    return spawn_summary_buffer_memory(time.system, llm, std::move(options));
  }

private:
  std::shared_ptr<reply<bool>> ask_void(const memory_actor& memory, const std::string& key,
      const conversation_turn& turn, const call_context& context) {
    auto result = std::make_shared<reply<bool>>();
    time.system.spawn([=](caf::event_based_actor* self) {
      compat::request(self, memory, save_atom_v, key, turn, context)
          .then(
              [result] {
                result->result = true;
                ++result->answers;
              },
              [result](const caf::error& error) {
                result->error = error;
                ++result->answers;
              });
    });
    return result;
  }
};

} // namespace

// -- buffer and window ------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a buffer memory keeps every turn, each conversation apart") {
  auto memory = spawn_buffer_memory(time.system);
  for (const auto* human : {"a", "b", "c", "d", "e", "f"}) {
    CHECK(save(memory, "x", human)->result);
    CHECK(save(memory, "y", "-"s + human)->result);
  }
  CHECK(said(memory, "x") == "abcdef");
  CHECK(said(memory, "y") == "-a-b-c-d-e-f");
  CHECK(said(memory, "z").empty());
}

TEST_CASE_METHOD(fixture, "a full buffer memory says so, and keeps what it has") {
  memory_limits limits;
  limits.max_turns = 1;
  auto memory = spawn_buffer_memory(time.system, limits);
  save(memory, "x", "a");
  CHECK(save(memory, "x", "b")->error == errc::overloaded);
  CHECK(said(memory, "x") == "a");
}

TEST_CASE_METHOD(fixture, "a window memory keeps the last five turns, or as many as it is told") {
  auto five = spawn_window_memory(time.system);
  auto two = spawn_window_memory(time.system, 2);
  for (const auto* human : {"a", "b", "c", "d", "e", "f", "g"}) {
    save(five, "x", human);
    save(two, "x", human);
  }
  CHECK(said(five, "x") == "cdefg");
  CHECK(said(two, "x") == "fg");
}

TEST_CASE_METHOD(fixture, "an erased conversation is empty") {
  auto memory = spawn_buffer_memory(time.system);
  save(memory, "x", "a");
  compat::anon_send(memory, erase_atom_v, "x"s);
  time.settle();
  CHECK(said(memory, "x").empty());
}

TEST_CASE_METHOD(fixture, "a memory refuses what comes after its deadline, and saves none of it") {
  auto memory = spawn_buffer_memory(time.system);
  auto late = time.context(1s);
  time.advance(1s);
  CHECK(save(memory, "x", "a", late)->error == errc::timed_out);
  auto loaded = ask<conversation>(time, memory, load_atom_v, "x"s, late);
  CHECK(said(memory, "x").empty());
  CHECK(loaded->error == errc::timed_out);
}

// -- summaries --------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a summary memory adds each turn to the summary") {
  auto memory = spawn_summary_memory(time.system, llm);
  CHECK(save(memory, "x", "I am Ada")->result);
  REQUIRE(log->calls.size() == 1);
  CHECK(prompt(0).ends_with("\n\nCurrent summary:\n\n\nNew lines of conversation:\n"
                            "Human: I am Ada\nAI: ok\n\nNew summary:"));
  answer_and_settle(0, "\n\nThe human is Ada.\n");
  CHECK(said(memory, "x") == "[The human is Ada.]");
  save(memory, "x", "I like owls");
  REQUIRE(log->calls.size() == 2);
  CHECK(
      prompt(1).ends_with("\n\nCurrent summary:\nThe human is Ada.\n\nNew lines of conversation:\n"
                          "Human: I like owls\nAI: ok\n\nNew summary:"));
  answer_and_settle(1, "Ada likes owls.");
  CHECK(said(memory, "x") == "[Ada likes owls.]");
}

TEST_CASE_METHOD(fixture, "a summary buffer asks for nothing until its turns are too long") {
  auto memory = keeps_turns(2);
  CHECK(save(memory, "x", "a")->result);
  CHECK(save(memory, "x", "b")->result);
  CHECK(log->calls.empty());
  auto third = save(memory, "x", "c");
  REQUIRE(log->calls.size() == 1);
  CHECK(prompt(0).find("Human: a\n") != std::string::npos);
  CHECK(prompt(0).find("Human: b\n") == std::string::npos);
  answer_and_settle(0, "A");
  CHECK(third->result);
  CHECK(said(memory, "x") == "[A]bc");
}

TEST_CASE_METHOD(fixture, "a summary buffer keeps 2000 tokens of turns unless told otherwise") {
  auto memory = spawn_summary_buffer_memory(time.system, llm);
  // With its frame, a little less than 1000 tokens.
  std::string long_text;
  for (auto i = 0; i < 980; ++i)
    long_text += "word ";
  save(memory, "x", long_text);
  save(memory, "x", long_text);
  CHECK(log->calls.empty());
  save(memory, "x", long_text);
  CHECK(log->calls.size() == 1);
}

TEST_CASE_METHOD(fixture, "no save waits for a summary, and turns saved meanwhile come next") {
  auto memory = spawn_summary_memory(time.system, llm);
  CHECK(save(memory, "x", "a")->result);
  CHECK(save(memory, "x", "b")->result);
  CHECK(save(memory, "x", "c")->result);
  CHECK(log->calls.size() == 1);
  CHECK(said(memory, "x") == "abc");
  answer_and_settle(0, "A");
  CHECK(said(memory, "x") == "[A]bc");
  REQUIRE(log->calls.size() == 2);
  CHECK(prompt(1).find("Human: b\nAI: ok\nHuman: c\nAI: ok\n") != std::string::npos);
  answer_and_settle(1, "ABC");
  CHECK(said(memory, "x") == "[ABC]");
  CHECK(log->calls.size() == 2);
}

TEST_CASE_METHOD(fixture, "conversations that are summarised at the same time never mix") {
  auto memory = spawn_summary_memory(time.system, llm);
  save(memory, "x", "a");
  save(memory, "y", "b");
  REQUIRE(log->calls.size() == 2);
  CHECK(prompt(1).find("Human: a") == std::string::npos);
  answer_and_settle(1, "B");
  answer_and_settle(0, "A");
  CHECK(said(memory, "x") == "[A]");
  CHECK(said(memory, "y") == "[B]");
}

TEST_CASE_METHOD(fixture, "a summary that fails fails no save, loses no turn, and is tried again") {
  auto memory = spawn_summary_memory(time.system, llm);
  auto first = save(memory, "x", "a");
  answer_and_settle(0, "  \n"); // an empty summary is none
  CHECK(first->result);
  CHECK(said(memory, "x") == "a");
  auto second = save(memory, "x", "b");
  REQUIRE(log->calls.size() == 2);
  CHECK(prompt(1).find("Human: a\nAI: ok\nHuman: b\nAI: ok\n") != std::string::npos);
  compat::anon_send(llm, caf::ok_atom_v, uint64_t{1}, llm_result{}); // no completion at all
  time.settle();
  CHECK(second->result);
  CHECK(said(memory, "x") == "ab");
  auto third = save(memory, "x", "c");
  caf::anon_send_exit(llm, caf::exit_reason::kill);
  time.settle();
  CHECK(third->result);
  CHECK(save(memory, "x", "d")->result);
  CHECK(said(memory, "x") == "abcd");
}

TEST_CASE_METHOD(fixture, "a backlog goes into the summary in portions") {
  auto memory = spawn_summary_memory(time.system, llm);
  save(memory, "x", "a");
  for (int i = 0; i < 30; ++i)
    save(memory, "x", "b");
  answer_and_settle(0, "A");
  answer_and_settle(1, "AB");
  CHECK(load(memory, "x").turns.size() == 10); // 30 less 20
  answer_and_settle(2, "ABB");
  CHECK(load(memory, "x").turns.empty());
}

TEST_CASE_METHOD(fixture, "a summary that takes too long is given up, and loses nothing") {
  auto memory = spawn_summary_memory(time.system, llm);
  auto context = time.context(1s);
  context.tenant = "acme";
  CHECK(save(memory, "x", "a", context)->result);
  REQUIRE(log->calls.size() == 1);
  CHECK(log->calls[0].context.tenant == "acme");
  time.advance(2min + grace);
  answer_and_settle(0, "too late");
  CHECK(said(memory, "x") == "a");
  save(memory, "x", "b");
  answer_and_settle(1, "AB");
  CHECK(said(memory, "x") == "[AB]");
}

TEST_CASE_METHOD(fixture, "a conversation erased while it is summarised stays erased") {
  auto memory = spawn_summary_memory(time.system, llm);
  auto got = save(memory, "x", "a");
  compat::anon_send(memory, erase_atom_v, "x"s);
  answer_and_settle(0, "A");
  CHECK(got->result);
  CHECK(said(memory, "x").empty());
}

TEST_CASE_METHOD(fixture, "memories that cannot work are refused") {
  CHECK(refusal_of([&] { spawn_window_memory(time.system, 0); }) ==
        "a window memory must keep at least 1 turn");
  CHECK(refusal_of([&] { spawn_summary_memory(time.system, {}); }) ==
        "a memory that summarises needs a valid LLM actor");
  CHECK(refusal_of([&] {
    spawn_buffer_memory(time.system, {0, 1, 1});
  }) == "the limits of a memory must be at least 1");
}

} // namespace memory_test
