// What tests of the guard share: virtual time, fakes to guard, and calls.
#pragma once

#include "support/fake_llm.hpp"

#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/llm/guarded.hpp>

#include <string>
#include <vector>

namespace chainmail::test {

inline scripted_reply answer_with(std::string text, caf::timespan delay = {}) {
  return {std::move(text), {}, delay};
}

inline scripted_reply fail_with(errc code, caf::timespan delay = {}) {
  return {{}, make_failure(code, "as scripted", {503, "http://fake", {}}), delay};
}

inline scripted_reply limit_with(std::optional<caf::timespan> retry_after) {
  return {
      {}, make_failure(errc::rate_limited, "as scripted", {429, "http://fake", retry_after}), {}};
}

struct guard_fixture {
  virtual_time time;
  guard_options options;
  std::shared_ptr<fake_llm_script> fake = std::make_shared<fake_llm_script>();
  std::shared_ptr<fake_llm_script> second = std::make_shared<fake_llm_script>();
  llm_request request;
  std::vector<llm_actor> spawned;
  llm_actor guard;

  guard_fixture() {
    options.seed = 7;
    request.prompts = {"Name a company."};
    request.parameters.temperature = 0.9;
  }
  guard_fixture(const guard_fixture&) = delete;
  guard_fixture& operator=(const guard_fixture&) = delete;

  ~guard_fixture() {
    if (guard)
      caf::anon_send_exit(guard, caf::exit_reason::user_shutdown);
    time.settle();
    time.advance(std::chrono::hours{1}); // replies that are still on their way
    for (const auto& llm : spawned)      // and those that never come
      caf::anon_send_exit(llm, caf::exit_reason::kill);
  }

  guard_target target(std::shared_ptr<fake_llm_script> script, std::string name) {
    guard_target result;
    result.llm = spawn_fake_llm(time.system, std::move(script));
    spawned.push_back(result.llm);
    result.name = std::move(name);
    return result;
  }

  void spawn() { guard = spawn_guarded(time.system, {target(fake, "first")}, options); }

  void spawn_with_fallback() {
    guard = spawn_guarded(time.system, {target(fake, "first"), target(second, "second")}, options);
  }

  std::shared_ptr<test::reply<llm_result>> start(call_context context) {
    if (!guard)
      spawn();
    auto result = ask<llm_result>(time, guard, generate_atom_v, request, std::move(context));
    time.settle();
    return result;
  }

  std::shared_ptr<test::reply<llm_result>> start() { return start(time.context()); }

  /// In steps, so that what follows from a timer happens in its time.
  void pass(caf::timespan total, caf::timespan step = std::chrono::milliseconds{10}) {
    for (caf::timespan done{0}; done < total; done += step)
      time.advance(step);
  }

  /// Runs one call to its end, ten minutes at most.
  test::reply<llm_result> run() {
    auto result = start();
    for (auto i = 0; i < 60'000 && result->pending(); ++i)
      time.advance(std::chrono::milliseconds{10});
    return *result;
  }
};

} // namespace chainmail::test
