// What tests of chains share: virtual time, an LLM that a function answers for, and its prompts.
#pragma once

#include "support/recording_sink.hpp"

#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/llm/scripted_llm.hpp>
#include <chainmail/messages.hpp>

#include <functional>
#include <string>
#include <vector>

namespace chainmail::test {

struct chain_fixture {
  virtual_time time;
  /// Every prompt that the LLM was asked, in order.
  std::vector<std::string> prompts;
  std::vector<llm_request> requests;
  /// What it answers: by default "re: " and the prompt.
  std::function<scripted_reply(const std::string& prompt)> reply = [](const std::string& prompt) {
    return scripted_reply{"re: " + prompt, {}, {}};
  };
  llm_actor llm = spawn_scripted_llm(time.system, [this](const llm_request& request) {
    requests.push_back(request);
    prompts.push_back(request.prompts.at(0));
    return reply(prompts.back());
  });

  /// What streams gave, and under which ID.
  std::shared_ptr<sink_log> heard = std::make_shared<sink_log>();
  recording_sink_actor sink = spawn_recording_sink(time.system, heard);
  call_context stream_context = time.context();

  chain_fixture() = default;
  chain_fixture(const chain_fixture&) = delete;
  chain_fixture& operator=(const chain_fixture&) = delete;

  /// Calls that are still held would keep the system alive.
  ~chain_fixture() {
    caf::anon_send_exit(llm, caf::exit_reason::kill);
    caf::anon_send_exit(sink, caf::exit_reason::kill);
    time.settle();
  }

  /// A chain of one prompt.
  chain_actor asks(const char* prompt, std::string output_key = "text") {
    llm_chain_options options;
    options.output_key = std::move(output_key);
    return spawn_llm_chain(time.system, llm, prompt, options);
  }

  std::shared_ptr<test::reply<values>> start(const chain_actor& chain, values inputs) {
    return ask<values>(time, chain, call_atom_v, std::move(inputs), time.context());
  }

  /// Runs a call to its end, an hour at most.
  test::reply<values> run(const chain_actor& chain, values inputs) {
    auto result = start(chain, std::move(inputs));
    time.settle();
    if (result->pending())
      time.advance(std::chrono::minutes{61});
    return *result;
  }

  std::shared_ptr<test::reply<values>> start_stream(const chain_actor& chain, values inputs) {
    auto result = ask<values>(
        time, chain, stream_atom_v, std::move(inputs), sink_actor{sink}, stream_context);
    time.settle();
    return result;
  }

  /// Runs a stream to its end, an hour at most.
  test::reply<values> stream(const chain_actor& chain, values inputs) {
    auto result = start_stream(chain, std::move(inputs));
    if (result->pending())
      time.advance(std::chrono::minutes{61});
    return *result;
  }

  chain_description description_of(const chain_actor& chain) {
    auto result = ask<chain_description>(time, chain, describe_atom_v);
    time.settle();
    return result->result.value();
  }
};

/// The text under a key, or what went wrong.
inline std::string text_of(const test::reply<values>& from, const std::string& key) {
  if (!from.result)
    return describe(from.error);
  auto* found = find_text(*from.result, key);
  return found == nullptr ? "no text under " + key : *found;
}

} // namespace chainmail::test
